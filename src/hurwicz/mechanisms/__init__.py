"""The mechanisms of the field: rules from reports to an outcome and payments."""

from hurwicz.mechanisms.cost_sharing import marginal_cost_sharing, moulin_shapley, serial_cost_sharing, serial_shares, shapley_shares
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism
from hurwicz.mechanisms.public_good import expected_externality_public_good, pivotal_public_good
from hurwicz.mechanisms.registry import Entry, make, registry
from hurwicz.mechanisms.single_parameter import SingleParameterMechanism, check_reports, single_parameter
from hurwicz.mechanisms.social_choice import clarke_pivot, expected_externality, groves

__all__ = [
    "Entry",
    "MultiParameterMechanism",
    "SingleParameterMechanism",
    "check_reports",
    "clarke_pivot",
    "expected_externality",
    "expected_externality_public_good",
    "groves",
    "make",
    "marginal_cost_sharing",
    "moulin_shapley",
    "pivotal_public_good",
    "registry",
    "serial_cost_sharing",
    "serial_shares",
    "shapley_shares",
    "single_parameter",
]
