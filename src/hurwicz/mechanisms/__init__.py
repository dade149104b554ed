"""The mechanisms of the field: rules from reports to an outcome and payments."""

from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism
from hurwicz.mechanisms.registry import Entry, make, registry
from hurwicz.mechanisms.single_parameter import SingleParameterMechanism, check_reports, single_parameter

__all__ = [
    "Entry",
    "MultiParameterMechanism",
    "SingleParameterMechanism",
    "check_reports",
    "make",
    "registry",
    "single_parameter",
]
