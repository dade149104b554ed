"""What agents privately know: type spaces, and priors over them."""

from hurwicz.typespaces.continuous import Continuous, Independent, Mixture
from hurwicz.typespaces.correlated import CorrelatedPrior
from hurwicz.typespaces.empirical import Empirical
from hurwicz.typespaces.marginals import DecreasingMarginals, SortedDraws
from hurwicz.typespaces.mirrored import Mirrored, MirroredDraws, MirroredSpace, mirrored, mirrored_jointly, mirrored_space
from hurwicz.typespaces.priors import DensityPrior, FinitePrior, Prior, ProductPrior, TruncatedNormal, Uniform
from hurwicz.typespaces.spaces import Box, Finite, Interval, TypeSpace

__all__ = [
    "Box",
    "Continuous",
    "CorrelatedPrior",
    "DecreasingMarginals",
    "DensityPrior",
    "Empirical",
    "Finite",
    "FinitePrior",
    "Independent",
    "Interval",
    "Mirrored",
    "MirroredDraws",
    "MirroredSpace",
    "Mixture",
    "Prior",
    "ProductPrior",
    "SortedDraws",
    "TruncatedNormal",
    "TypeSpace",
    "Uniform",
    "mirrored",
    "mirrored_jointly",
    "mirrored_space",
]
