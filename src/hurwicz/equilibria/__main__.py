"""``python -m hurwicz.equilibria`` prints the reference results: claim, what is computed here, what is known, the error."""

from __future__ import annotations

import sys

from hurwicz.equilibria.reference_results import reference_results

_TOLERANCE = 1e-3


def main() -> int:
    """Print line by line; 1 if any error is above 1e-3."""
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


if __name__ == "__main__":
    sys.exit(main())
