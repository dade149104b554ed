"""``python -m hurwicz.equilibria`` prints the reference results; ``--survey`` the equilibrium of every single-parameter mechanism.

Reference results: claim, what is computed here, what is known, the error. The survey: certified gain as a share of the range of bids, over
all bids and among those of the grid where there is one, revenue, CPU seconds.
"""

from __future__ import annotations

import argparse
import sys

_TOLERANCE = 1e-3


def main(arguments: list[str] | None = None) -> int:
    """Print line by line; 1 if any error of a reference result is above 1e-3, or a mechanism of the survey above its tolerance."""
    parser = argparse.ArgumentParser(prog="python -m hurwicz.equilibria", description=__doc__)
    parser.add_argument(
        "--survey", nargs="*", metavar="NAME", help="mechanisms of the registry; all single-parameter ones if none is named"
    )
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the survey: gain wanted, as a share of the range of bids")
    parser.add_argument("--seconds", type=float, help="of the survey: for each search; as long as it takes if omitted")
    given = parser.parse_args(arguments)
    return _references() if given.survey is None else _survey(given.survey, given.tolerance, given.seconds)


def _references() -> int:
    from hurwicz.equilibria.reference_results import reference_results

    print(f"{'claim':<58} {'ours':>12} {'reference':>12} {'error':>9} {'epsilon':>9} {'any bid':>9} {'s':>6}  source")
    missed = 0
    for line in reference_results():
        epsilon = "" if line.epsilon is None else f"{line.epsilon:.1e}"
        bound = "" if line.bound is None else f"{line.bound:.1e}"
        mark = "" if line.error <= _TOLERANCE else "  MISSED"
        missed += line.error > _TOLERANCE
        print(
            f"{line.claim:<58} {line.ours:12.7f} {line.reference:12.7f} {line.error:9.1e} {epsilon:>9} {bound:>9} {line.seconds:6.1f}  "
            f"{line.source}{mark}",
            flush=True,
        )
    print(f"\n{'all' if not missed else 'not all'} within {_TOLERANCE:g}" + (f": {missed} missed" if missed else ""))
    return int(missed > 0)


def _survey(names: list[str], tolerance: float, seconds: float | None) -> int:
    from hurwicz.equilibria.survey import SURVEY_HEAD, survey, survey_line

    print(SURVEY_HEAD, flush=True)
    rows = []
    for row in survey(names, tolerance=tolerance, time_limit=seconds):
        rows.append(row)
        print(survey_line(row), flush=True)
    met = sum(row.met for row in rows)
    print(f"\n{met} of {len(rows)} within {tolerance:g} of the range of bids, {sum(row.seconds for row in rows):.0f} CPU s")
    return int(met < len(rows))


if __name__ == "__main__":
    sys.exit(main())
