"""Brackets for regret: what was found, and what is possible, by branch and bound over boxes for rules with a known Lipschitz constant."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator
from hurwicz.settings import DirectMechanism
from hurwicz.typespaces import Box, Interval

_BATCH = 2048


@dataclass(frozen=True)
class Bracket:
    """The largest gain of an agent by a misreport lies between the two figures.

    Attributes:
        agent: who might lie.
        gain_found: earned at ``profile`` by ``misreport``.
        gain_possible: no type gains more by any report at any profile, given the Lipschitz constants.
        profile: true types.
        misreport: the report that gains ``gain_found``.
        boxes: boxes looked at.
        status: ``"closed"`` (the two are within the gap asked for), ``"boxes spent"`` or ``"time spent"``.
    """

    agent: str
    gain_found: float
    gain_possible: float
    profile: dict[str, Any]
    misreport: Any
    boxes: int
    status: str

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """``regret of a: in [0.2500, 0.2501] (closed, 3001 boxes)``."""
        return f"regret of {self.agent}: in [{self.gain_found:.6g}, {self.gain_possible:.6g}] ({self.status}, {self.boxes} boxes)"


def regret_bracket(
    mechanism: DirectMechanism,
    agent: str,
    lipschitz: float | Mapping[str, float] | None = None,
    *,
    gap: float = 1e-3,
    most: int = 200_000,
    effort: Effort | str = "standard",
    seed: int = 0,
) -> Bracket:
    """Largest gain of one agent over its types, its misreports and the others' reports, bracketed.

    gain(z) <= gain(centre) + sum_d L_d |z_d - centre_d| on every box of z = (type, misreport, others' reports): boxes that cannot hold
    more than what was found are dropped, the most promising is halved along the side where L_d times its length is largest.

    Args:
        mechanism: all type spaces intervals or boxes.
        agent: whose lies.
        lipschitz: how fast the agent's utility moves with each agent's report (any coordinate of it), and under the name ``"type"`` with
            its own true type; one number for all; the mechanism's own ``lipschitz`` if omitted.
        gap: between found and possible at which to stop.
        most: boxes.
        effort: its seconds count.
        seed: of the evaluator's probes.

    Raises:
        InputError: no constants, constants below 0, type spaces that are no boxes, or utilities that move faster than the constants say.

    Example:
        >>> import numpy as np
        >>> from hurwicz.mechanisms import single_parameter
        >>> half = single_parameter("x = report, pays half of its square", lambda b: (b, 0.5 * b * b), 1)
        >>> regret_bracket(half, "bidder 1", {"bidder 1": 1.0, "type": 1.0}, gap=0.01).gain_possible < 0.01
        True

    Source:
        R. Horst and H. Tuy, Global Optimization (1996), chapter XI.
    """
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    if agent not in e.agents:
        raise InputError(f"regret_bracket: expected an agent among {list(e.agents)}, got {agent!r}")
    spaces = [e.spaces[n] for n in e.agents]
    boxes = [s for s in spaces if isinstance(s, Interval | Box)]
    if len(boxes) < len(spaces):
        raise InputError("regret_bracket: expected intervals or boxes of types; on finite types audit() is exact")
    given = lipschitz if lipschitz is not None else getattr(mechanism, "lipschitz", None)
    if given is None:
        raise InputError("regret_bracket: expected Lipschitz constants, of the caller or as the mechanism's ``lipschitz``; got none")
    speeds = {n: float(given) for n in (*e.agents, "type")} if isinstance(given, int | float) else {n: float(v) for n, v in given.items()}
    wrong = [n for n in (*e.agents, "type") if not (np.isfinite(speeds.get(n, np.nan)) and speeds[n] >= 0.0)]
    if wrong:
        raise InputError(f"regret_bracket: expected a finite constant >= 0 for every agent and for 'type', wrong or missing for {wrong}")
    ends = [(np.atleast_1d(np.asarray(s.low, dtype=np.float64)), np.atleast_1d(np.asarray(s.high, dtype=np.float64))) for s in boxes]
    own = e.agents.index(agent)
    low = np.concatenate([ends[own][0], *(a for a, _ in ends)])
    high = np.concatenate([ends[own][1], *(b for _, b in ends)])
    size = len(ends[own][0])
    # misreport first, then all true types; the truth moves with the type both as a report and as a type
    rate = np.concatenate(
        [np.full(size, speeds[agent])] + [_rate(n, agent, len(a), speeds) for n, (a, _) in zip(e.agents, ends, strict=True)]
    )
    search = _Search(e, agent, size, [len(a) for a, _ in ends], rate)
    return search.run(low, high, gap, most)


def _rate(name: str, agent: str, dims: int, speeds: Mapping[str, float]) -> Float64[np.ndarray, " dims"]:
    # u(lie; type, others) - u(truth; type, others): others enter both utilities, the own type the lie's value, and the truth's twice
    return np.full(dims, 2.0 * speeds["type"] + speeds[agent] if name == agent else 2.0 * speeds[name])


class _Search:
    def __init__(self, e: Evaluator, agent: str, size: int, dims: list[int], rate: Float64[np.ndarray, " coordinates"]) -> None:
        self.e, self.agent, self.size, self.rate = e, agent, size, rate
        self.cuts = np.cumsum(dims)[:-1]
        self.begin = size + sum(dims[: e.agents.index(agent)])
        self.scalar = {n: not isinstance(e.spaces[n], Box) for n in e.agents}

    def gains(self, points: Float64[np.ndarray, "batch coordinates"]) -> Float64[np.ndarray, " batch"]:
        profile, lie = self.unpack(points)
        truth = self.e.among(self.agent, self.e.outcomes(profile), profile)
        return self.e.among(self.agent, self.e.outcomes({**profile, self.agent: lie}), profile) - truth

    def unpack(self, points: Float64[np.ndarray, "batch coordinates"]) -> tuple[dict[str, Any], Any]:
        lie, types = points[:, : self.size], np.split(points[:, self.size :], self.cuts, axis=1)
        profile = {n: t[:, 0] if self.scalar[n] else t for n, t in zip(self.e.agents, types, strict=True)}
        return profile, lie[:, 0] if self.scalar[self.agent] else lie

    def run(self, low: Float64[np.ndarray, " coordinates"], high: Float64[np.ndarray, " coordinates"], gap: float, most: int) -> Bracket:
        centre, half = 0.5 * (low + high), 0.5 * (high - low)
        first = float(self.gains(centre[None])[0])
        found, best = max(0.0, first), np.concatenate([centre[self.begin : self.begin + self.size], centre[self.size :]])
        best = centre if first > 0.0 else best  # at the truth nothing is gained
        heap = [(-(first + float(self.rate @ half)), 0, centre, half, first)]
        count = 1
        begun = perf_counter()
        status = "closed"
        while heap and -heap[0][0] > found + gap:
            if count >= most or perf_counter() - begun > self.e.effort.seconds:
                status = "boxes spent" if count >= most else "time spent"
                break
            batch = [heapq.heappop(heap) for _ in range(min(len(heap), _BATCH))]
            centres, halves = np.stack([b[2] for b in batch]), np.stack([b[3] for b in batch])
            axis = np.argmax(self.rate * halves, axis=1)
            rows = np.arange(len(batch))
            halves[rows, axis] *= 0.5
            step = np.zeros_like(halves)
            step[rows, axis] = halves[rows, axis]
            points = np.concatenate([centres - step, centres + step])
            values = self.gains(points)
            parents = np.tile([b[4] for b in batch], 2)
            self._honest(values - parents, points, np.tile(step, (2, 1)))
            top = int(np.argmax(values))
            if values[top] > found:
                found, best = float(values[top]), points[top]
            bounds = values + np.tile(halves, (2, 1)) @ self.rate
            for k in np.flatnonzero(bounds > found):
                heapq.heappush(heap, (-float(bounds[k]), count + int(k), points[k], halves[k % len(batch)], float(values[k])))
            count += len(points)
        possible = max(found, -heap[0][0]) if heap else found
        profile, lie = self.unpack(best[None])
        types = {n: v[0].tolist() for n, v in profile.items()}
        return Bracket(self.agent, found, float(possible), types, lie[0].tolist(), count, status)

    def _honest(
        self,
        change: Float64[np.ndarray, " batch"],
        points: Float64[np.ndarray, "batch coordinates"],
        step: Float64[np.ndarray, "batch coordinates"],
    ) -> None:
        allowed = np.abs(step) @ self.rate
        over = np.abs(change) - allowed * (1.0 + 1e-9) - self.e.tolerance
        k = int(np.argmax(over))
        if over[k] > 1e-12 * max(1.0, float(np.abs(change).max())):
            profile, lie = self.unpack(points[k : k + 1])
            types = {n: v[0].tolist() for n, v in profile.items()}
            raise InputError(
                f"regret_bracket: expected a gain that moves by at most {allowed[k]:.6g} between two points, by the Lipschitz constants, "
                f"got {abs(change[k]):.6g} near types {types} and misreport {lie[0].tolist()}; a rule that jumps has no such constant"
            )
