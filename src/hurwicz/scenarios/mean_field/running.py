"""Which run is whose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario, BeachBarScenario, Designed

if TYPE_CHECKING:
    from hurwicz.scenarios.mean_field.learning import Checkpoints
    from hurwicz.scenarios.running import Progress, Run


def run_designed(scenario: Designed, name: str, progress: Progress, *, folder: Path | None, resume: bool) -> Run:
    """Learn the rules of the scenario, with checkpoints in ``folder``; stopped by hand, the run is what was found until then."""
    from hurwicz.designers.interruption import StoppedAgain
    from hurwicz.scenarios.mean_field.learning import Checkpoints, nothing_yet

    checkpoints = Checkpoints(folder, resume)
    try:
        return _run(scenario, name, progress, checkpoints)
    except KeyboardInterrupt as error:
        return nothing_yet(checkpoints, again=isinstance(error, StoppedAgain))


def _run(scenario: Designed, name: str, progress: Progress, checkpoints: Checkpoints) -> Run:
    if isinstance(scenario, BatchedAuctionScenario):
        from hurwicz.scenarios.mean_field.auction import run_batched_auction

        return run_batched_auction(scenario, name, progress, checkpoints)
    from hurwicz.scenarios.mean_field.beach import run_beach_bar

    assert isinstance(scenario, BeachBarScenario)
    return run_beach_bar(scenario, name, progress, checkpoints)
