"""How hard an audit searches."""

from __future__ import annotations

from dataclasses import dataclass

from hurwicz._foundation import InputError


@dataclass(frozen=True)
class Effort:
    """Limits of the search for each property.

    Attributes:
        profiles: profiles of types drawn at random (beside those that the caller names).
        deviations: misreports per profile and agent on the first rung (a grid, beside scaled reports).
        refinements: best candidates that are refined by local search, per agent.
        steps: steps of each local search.
        seconds: soft limit per property; what was done by then is reported.
        in_all: soft limit of the whole audit, four times ``seconds`` if omitted: a property may take a third of what is left of it.
        max_exhaustive: most utilities tabulated on finite type spaces before the audit falls back on sampling (most profiles, where values
            are linear in the allocation and a compiled loop does the rest).
        max_nodes: most profiles of others in an expectation by quadrature; beyond, they are sampled.
        samples: profiles of others drawn for an expectation that is sampled.
        max_bytes: memory for a table of outcomes; a larger one is made in slabs.
        tolerance: a gain counts when it exceeds this times the value scale (plus what the mechanism says of its own accuracy).
    """

    profiles: int = 1000
    deviations: int = 33
    refinements: int = 6
    steps: int = 60
    seconds: float = 30.0
    max_exhaustive: int = 20_000_000
    max_nodes: int = 4096
    samples: int = 4096
    max_bytes: int = 1_000_000_000
    tolerance: float = 1e-9
    in_all: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that leave nothing to do."""
        least = min(self.deviations, self.steps, self.max_nodes, self.samples, self.max_bytes)
        if self.in_all is not None and not self.in_all > 0.0:
            raise InputError(f"Effort: expected in_all above 0 (or None), got {self.in_all!r}")
        if least < 1 or self.profiles < 0 or self.refinements < 0 or not self.seconds > 0.0 or not self.tolerance > 0.0:
            raise InputError(f"Effort: expected positive limits (profiles and refinements may be 0), got {self}")

    @property
    def whole(self) -> float:
        """Seconds that all properties of an audit may take together."""
        return 4.0 * self.seconds if self.in_all is None else self.in_all


EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        profiles=100, deviations=17, refinements=3, steps=30, seconds=5.0, max_nodes=1024, samples=1024, max_exhaustive=2_000_000
    ),
    "standard": Effort(),
    "thorough": Effort(profiles=20_000, deviations=65, refinements=24, steps=200, seconds=300.0, max_nodes=20_000, samples=65_536),
}


def effort_of(effort: Effort | str) -> Effort:
    """An effort by name, or as given."""
    if isinstance(effort, Effort):
        return effort
    if effort not in EFFORTS:
        raise InputError(f"effort: expected one of {sorted(EFFORTS)} or an Effort, got {effort!r}")
    return EFFORTS[effort]
