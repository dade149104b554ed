"""What agents privately know: type spaces, and priors over them."""

from hurwicz.typespaces.correlated import CorrelatedPrior
from hurwicz.typespaces.priors import DensityPrior, FinitePrior, Prior, ProductPrior, TruncatedNormal, Uniform
from hurwicz.typespaces.spaces import Box, Finite, Interval, TypeSpace

__all__ = [
    "Box",
    "CorrelatedPrior",
    "DensityPrior",
    "Finite",
    "FinitePrior",
    "Interval",
    "Prior",
    "ProductPrior",
    "TruncatedNormal",
    "TypeSpace",
    "Uniform",
]
