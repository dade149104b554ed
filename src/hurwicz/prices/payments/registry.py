"""All rules by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hurwicz.prices.payments.clarke import Clarke
from hurwicz.prices.payments.expected_externality import ExpectedExternality
from hurwicz.prices.payments.linear import Linear, Unpaid
from hurwicz.prices.payments.myerson import Myerson
from hurwicz.prices.payments.own_path import OwnPath
from hurwicz.prices.payments.posted import PostedExpectation

RuleClass = type[Clarke] | type[ExpectedExternality] | type[Linear] | type[Myerson] | type[OwnPath] | type[PostedExpectation] | type[Unpaid]

RULES: Mapping[str, RuleClass] = MappingProxyType(
    {rule.name: rule for rule in (Linear, OwnPath, Clarke, ExpectedExternality, PostedExpectation, Myerson, Unpaid)}
)
