"""What this paper's rows are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hurwicz.reproductions import claim
from hurwicz.reproductions.claim import Context, Row, Value

FIGURE_ONLY = "figure only"
"""What stands in place of the paper's figure where it draws a curve and prints no number."""


@dataclass(frozen=True)
class Claim(Row):
    """A row whose bound is a ceiling: what no rule, or no correct computation, can pass; None where theory sets none.

    ``paper`` is "figure only" where the paper draws a curve and prints no number; ``agrees`` then says whether what it claims in words
    holds of our figures.
    """

    bound_name: ClassVar[str] = "ceiling"

    @property
    def ceiling(self) -> Value:
        """What cannot be passed."""
        return self.bound


Experiment = claim.Experiment[Context, Claim]
