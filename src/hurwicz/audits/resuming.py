"""An audit that was stopped goes on where it was: the file is bound to the mechanism, what it was asked, the effort and the seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.executors import Checkpoint
from hurwicz.audits.profiles import cover, plain
from hurwicz.settings import DirectMechanism, JointPrior

_SPEED = -1  # the line of the file that holds what was measured of the mechanism's speed


def resumed(
    e: Evaluator,
    path: str | Path,
    prior: JointPrior | None,
    at: Sequence[Mapping[str, Any]],
    bound: float | None,
    family: Any,
) -> Checkpoint:
    """The findings kept in a file, which is made if it is not there.

    A mechanism is known by its name, its agents, a cover of their type spaces and its answers to the profiles that it was probed with: a
    changed rule is refused where it answers one of those otherwise. What was measured of its speed is kept as well, for some searches are
    cut out by it.

    Args:
        e: evaluator of the mechanism, probed.
        path: of the file.
        prior: common prior.
        at: profiles of interest.
        bound: on expected revenue.
        family: whether there is one enters.

    Raises:
        FormatError: a file that is no checkpoint, or of another audit.
    """
    mechanism: DirectMechanism = e.mechanism
    drawn = None if prior is None else prior.sample(np.random.default_rng(e.seed), 8)
    about = {
        "mechanism": str(getattr(mechanism, "name", type(mechanism).__name__)),
        "agents": list(e.agents),
        "answers": _digest([_answers(e), {n: cover(e.spaces[n], 9) for n in e.agents}]),
        "prior": None if drawn is None else _digest(drawn),
        "at": _digest([dict(profile) for profile in at]),
        "revenue_bound": bound,
        "family": family is not None,
        "effort": asdict(e.effort),
        "seed": e.seed,
    }
    kept = Checkpoint(path, about)
    if _SPEED in kept.done:
        e.seconds_per_outcome, e.seconds_per_value = kept.done[_SPEED]
    else:
        kept.keep(_SPEED, [e.seconds_per_outcome, e.seconds_per_value])
    return kept


def _answers(e: Evaluator) -> Any:
    # where payments are dear only the first agent's are known to have been looked at
    return [
        [profiles, dict(outcomes.allocation), {n: outcomes.payments[n] for n in looked[: 1 if e.lazy else None]}]
        for profiles, outcomes, looked in e.probed
    ]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(_short(plain(content)), sort_keys=True, default=str).encode()).hexdigest()[:16]


def _short(content: Any) -> Any:
    # nine digits: the last ones may depend on the machine
    if isinstance(content, float):
        return f"{content:.9g}" if content else "0"
    if isinstance(content, Mapping):
        return {str(key): _short(value) for key, value in content.items()}
    return [_short(value) for value in content] if isinstance(content, list) else content
