"""A mechanism in its setting: who plays, what they may be, what is decided and paid."""

from hurwicz.settings.direct import BatchedDirectMechanism, DirectMechanism, Outcome, Outcomes
from hurwicz.settings.participants import Beliefs, JointPrior, Participants, beliefs, participants
from hurwicz.settings.properties import PROPERTIES, Claim, Property

__all__ = [
    "PROPERTIES",
    "BatchedDirectMechanism",
    "Beliefs",
    "Claim",
    "DirectMechanism",
    "JointPrior",
    "Outcome",
    "Outcomes",
    "Participants",
    "Property",
    "beliefs",
    "participants",
]
