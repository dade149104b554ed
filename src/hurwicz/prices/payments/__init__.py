"""Rules of payment for a planned allocation, each declaring what it guarantees and what it does not."""

from hurwicz.prices.payments.aggregate import AggregateTransfers, aggregate_clarke_transfers
from hurwicz.prices.payments.clarke import Clarke, clarke_pivot_transfer, clarke_transfer_by_prices, planner_keeps
from hurwicz.prices.payments.convex import ConvexProblem
from hurwicz.prices.payments.expected_externality import ExpectedExternality
from hurwicz.prices.payments.integrals import PathIntegral, path_integral
from hurwicz.prices.payments.interim import InterimFunction, interim_function
from hurwicz.prices.payments.linear import Linear, Unpaid, linear_transfer
from hurwicz.prices.payments.myerson import Myerson
from hurwicz.prices.payments.own_path import OwnPath, own_path_transfer, own_path_transfer_by_prices
from hurwicz.prices.payments.posted import PostedExpectation
from hurwicz.prices.payments.problems import AllocationProblem, total_cost, total_loss
from hurwicz.prices.payments.quadratic import QuadraticAggregate
from hurwicz.prices.payments.registry import RULES
from hurwicz.prices.payments.rule import BoundRule, PaymentRule, does_not_guarantee, guarantees

__all__ = [
    "RULES",
    "AggregateTransfers",
    "AllocationProblem",
    "BoundRule",
    "Clarke",
    "ConvexProblem",
    "ExpectedExternality",
    "InterimFunction",
    "Linear",
    "Myerson",
    "OwnPath",
    "PathIntegral",
    "PaymentRule",
    "PostedExpectation",
    "QuadraticAggregate",
    "Unpaid",
    "aggregate_clarke_transfers",
    "clarke_pivot_transfer",
    "clarke_transfer_by_prices",
    "does_not_guarantee",
    "guarantees",
    "interim_function",
    "linear_transfer",
    "own_path_transfer",
    "own_path_transfer_by_prices",
    "path_integral",
    "planner_keeps",
    "total_cost",
    "total_loss",
]
