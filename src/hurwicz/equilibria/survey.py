"""The Bayes–Nash equilibrium of every single-parameter mechanism of the library, as far as it is found, with what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hurwicz._foundation import InputError
from hurwicz.equilibria.bayes_nash import bayes_nash
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.mechanisms.registry import Entry, registry


@dataclass(frozen=True)
class SurveyRow:
    """One mechanism.

    Attributes:
        name: in the registry.
        agents: how many.
        met: whether the certified gain is within the tolerance asked for.
        kind: sort of strategies.
        dynamics: what found them; ``"truth"`` where nobody gains by a lie.
        epsilon: certified gain, as a share of the range of bids; for strategies on a grid, among all bids, not only the grid's.
        restricted: the same among the bids of the grid.
        revenue: sum_i E[t_i].
        seconds: CPU time of the search and the certificate.
    """

    name: str
    agents: int
    met: bool
    kind: str
    dynamics: str
    epsilon: float
    restricted: float
    revenue: float
    seconds: float


def survey(names: Sequence[str] = (), *, tolerance: float = 1e-4, time_limit: float | None = None) -> Iterator[SurveyRow]:
    """Each mechanism at its defaults, with two agents (three for several units) or the fewest that it takes, row by row.

    Args:
        names: which of the registry; all single-parameter ones if empty.
        tolerance: gain wanted, as a share of the range of bids.
        time_limit: seconds for each search.

    Raises:
        InputError: a name that is not of a single-parameter mechanism.

    Example:
        >>> [(row.name, row.met, row.dynamics, round(row.revenue, 3)) for row in survey(["second_price"])]
        [('second_price', True, 'truth', 0.333)]
    """
    known = registry()
    made = {name: known[name].make(_agents(known[name])) for name in names or known if name in known}
    wrong = [name for name in names if not isinstance(made.get(name), SingleParameterMechanism)]
    if wrong:
        raise InputError(f"survey: expected single-parameter mechanisms of the registry, got {wrong}")
    for name, mechanism in made.items():
        if isinstance(mechanism, SingleParameterMechanism):
            began = time.process_time()
            solution = bayes_nash(mechanism, tolerance=tolerance, strict=False, time_limit=time_limit)
            found, stats = solution.value, solution.stats
            spent = time.process_time() - began
            span = stats["tolerance"] / tolerance
            yield SurveyRow(
                name=name,
                agents=len(mechanism.agents),
                met=solution.status.ok,
                kind=stats["kind"],
                dynamics=stats["dynamics"],
                epsilon=found.epsilon / span,
                restricted=found.certificate.restricted / span,
                revenue=found.revenue,
                seconds=spent,
            )


def _agents(entry: Entry) -> int:
    # two bidders do not contest two units
    return max(3 if entry.family == "several units" else 2, entry.least)


def survey_line(row: SurveyRow) -> str:
    """One row as text, in the columns of :data:`SURVEY_HEAD`.

    Example:
        >>> print(survey_line(SurveyRow("second_price", 2, True, "monotone strategies", "truth", 0.0, 0.0, 1 / 3, 2.0)))
        second_price                      2  met      0.0e+00  0.0e+00   0.33333    2.0  truth
    """
    return (
        f"{row.name:<32} {row.agents:>2}  {'met' if row.met else 'NOT MET':<7}  {row.epsilon:.1e}  {row.restricted:.1e} {row.revenue:9.5f} "
        f"{row.seconds:6.1f}  {row.dynamics}" + (f", {row.kind}" if row.kind.startswith("mixed") else "")
    )


SURVEY_HEAD = f"{'mechanism':<32} {'n':>2}  {'status':<7}  {'epsilon':<7}  {'on grid':<7} {'revenue':>9} {'CPU s':>6}  found by"
