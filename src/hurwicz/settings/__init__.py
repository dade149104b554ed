"""A mechanism in its setting: who plays, what they may be, what is decided and paid."""

from hurwicz.settings.direct import BatchedDirectMechanism, DirectMechanism, Outcome, Outcomes
from hurwicz.settings.forms import AffineMaximiser, Lottery, Menu, PaymentIdentity
from hurwicz.settings.participants import Beliefs, JointPrior, Participants, beliefs, participants
from hurwicz.settings.properties import BEYOND_ONE_LIAR, CORE_PROPERTIES, PROPERTIES, Claim, Property, strategyproof
from hurwicz.settings.risk import CARA, CRRA, ExpectedUtility, RiskAttitude, RiskNeutral

__all__ = [
    "BEYOND_ONE_LIAR",
    "CARA",
    "CORE_PROPERTIES",
    "CRRA",
    "PROPERTIES",
    "AffineMaximiser",
    "BatchedDirectMechanism",
    "Beliefs",
    "Claim",
    "DirectMechanism",
    "ExpectedUtility",
    "JointPrior",
    "Lottery",
    "Menu",
    "Outcome",
    "Outcomes",
    "Participants",
    "PaymentIdentity",
    "Property",
    "RiskAttitude",
    "RiskNeutral",
    "beliefs",
    "participants",
    "strategyproof",
]
