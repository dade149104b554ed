"""Mean-field policies before the auditor: exploitability, N players, participation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, float64_array, float64_scope
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.settings import Property

if TYPE_CHECKING:
    from hurwicz.meanfield import MeanFieldGame

EQUILIBRIUM = "mean_field_equilibrium"
Progress = Callable[[str, float], None]


def equilibrium_of(players: int) -> str:
    """The property of being an equilibrium among N players.

    Example:
        >>> equilibrium_of(100)
        'equilibrium_of_100_players'
    """
    return f"equilibrium_of_{players}_players"


@dataclass(frozen=True)
class Case:
    """What a mean-field policy is judged from."""

    game: MeanFieldGame
    policy: Float64[FloatArray, "horizon states actions"]
    theta: Any
    tau: float
    tolerance: float
    episodes: int
    paths: int
    confidence: float
    seed: int

    @cached_property
    def gains(self) -> tuple[float, Any, Any, Any, float]:
        """Exploitability; by state of round 0 the gain, the policy's utility, and its utility with the entropy; the scale of values."""
        from hurwicz.meanfield import action_values, best_values, entropy, flow_of
        from hurwicz.meanfield.evaluation import greatest

        with float64_scope():
            policy = array(self.policy)
            flow = flow_of(self.game, policy, self.theta)
            best = greatest(self.game.masked(best_values(self.game, flow, self.theta, self.tau)[0]), self.tau)
            soft = (policy[0] * action_values(self.game, flow, policy, self.theta, self.tau)[0]).sum(axis=1) + self.tau * entropy(policy[0])
            q = action_values(self.game, flow, policy, self.theta, 0.0)[0]
            plain, scale = (policy[0] * q).sum(axis=1), float(abs(q).max())
            begins = np.asarray(self.game.begins(self.theta), dtype=np.float64)
            by_state = np.asarray(best - soft)
            return float(begins @ by_state), by_state, np.asarray(plain), np.asarray(soft), scale


def deviation_gains(
    game: MeanFieldGame,
    policy: Float64[FloatArray, "horizon states actions"],
    players: Sequence[int] = (10, 100, 1000),
    *,
    theta: Any = None,
    tau: float = 0.0,
    tolerance: float = 5e-3,
    outside: float | Sequence[float] = 0.0,
    episodes: int = 256,
    paths: int = 32,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Finding]:
    """What a player gains by departing from a mean-field policy, in the mean field and among N players, and whether it takes part at all.

    - ``mean_field_equilibrium``: max_pi' V(pi'; L) - V(pi; L), L the flow of pi. The best response is exact (dynamic programming over all
      states), so the bracket closes: found = possible, to rounding. At most ``tolerance`` is proved, more is refuted.
    - ``interim_IR``: V_0(s) of the policy against ``outside``, exact for every state that players begin in. With ``tau`` > 0 utilities
      are those of the game with entropy, whose equilibrium softmax policies are; what they collect is stated beside.
    - ``equilibrium_of_N_players``: a reply to N - 1 others is found by dynamic programming over drawn paths, and judged on fresh episodes
      of the whole game, where the player's own share counts and moves the others. It is a **lower** end: a gain whose confidence interval
      lies above ``tolerance`` refutes, and nothing proves.

    Args:
        game: the game.
        policy: what all play.
        players: N, each at least 2.
        theta: the rules.
        tau: weight of the entropy in the mean field, in units of reward; among N players only rewards count.
        tolerance: gain up to which a policy passes for an equilibrium, in units of reward.
        outside: utility of staying out, one for all states or one a state.
        episodes: in which a reply is judged, for each N.
        paths: of the others from which it is found.
        confidence: of the intervals.
        seed: of all draws.
        progress: told the property and the fraction done.

    Returns:
        Findings in the order above, one for each N at the end.

    Raises:
        InputError: another shape, rows that do not sum to one, fewer than two players or episodes, or a game that is none along the
            policy's flow: transition rows that do not sum to one, rewards out of the declared range, ...; with the round and the state.
        NotFiniteError: NaN or infinity in a reward or a move; names the round and the state.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> thirds = np.broadcast_to(np.array([2 / 3, 1 / 3]), game.shape)
        >>> found = deviation_gains(game, thirds, players=(), outside=-1.0)
        >>> [(f.property, f.verdict.value) for f in found]
        [('mean_field_equilibrium', 'proved'), ('interim_IR', 'proved')]

    Source:
        Corecco et al. (arXiv 2510.21442): the equilibrium of the mean field is one of N players to O(1/sqrt N).
    """
    case = case_of(game, policy, players, theta, tau, tolerance, episodes, paths, confidence, seed)
    tell = progress if progress is not None else lambda _name, _done: None
    found = [in_the_mean_field(case)]
    tell(EQUILIBRIUM, 1.0)
    found.append(participation(case, outside))
    tell(Property.INTERIM_IR.value, 1.0)
    for count in players:
        found.append(among(case, count, None)[0])
        tell(equilibrium_of(count), 1.0)
    return found


def replay_deviation(
    game: MeanFieldGame, policy: Float64[FloatArray, "horizon states actions"], finding: Finding, theta: Any = None
) -> float:
    """The gain of a refuted finding of this page, computed afresh from its seeds.

    Args:
        game: the game that was audited.
        policy: what all played.
        finding: refuted, about the mean field or about N players.
        theta: the rules.

    Raises:
        InputError: a finding without a witness, or about something else.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> all_left = np.broadcast_to(np.array([1.0, 0.0]), game.shape)
        >>> found, _ = deviation_gains(game, all_left, players=(), outside=-2.0)
        >>> found.value, replay_deviation(game, all_left, found)
        (1.0, 1.0)
    """
    if finding.witness is None or "tau" not in finding.witness.details:
        raise InputError(f"replay_deviation: expected a refuted deviation, got {finding.property!r} {finding.verdict.value}")
    d, effort = finding.witness.details, finding.effort
    case = Case(game, _checked(game, policy), theta, d["tau"], 0.0, effort.get("episodes", 2), effort.get("paths", 1), 0.95, d["seed"])
    if finding.property == EQUILIBRIUM:
        return float(case.gains[0])
    if "players" not in d:
        raise InputError(f"replay_deviation: expected a finding about an equilibrium, got {finding.property!r}")
    returned = _played(case, d["players"], None)[0]
    return float((returned[1] - returned[0]).mean())


def case_of(
    game: MeanFieldGame,
    policy: Any,
    players: Sequence[int],
    theta: Any,
    tau: float,
    tolerance: float,
    episodes: int,
    paths: int,
    confidence: float,
    seed: int,
    *,
    feasible: bool = True,
) -> Case:
    """The case, once its figures, the policy and the game along its flow have been looked at; ``feasible`` as for ``examined``."""
    from hurwicz.meanfield.game import weight_of_entropy
    from hurwicz.meanfield.soundness import examined

    if any(n < 2 for n in players) or episodes < 2 or paths < 1:
        raise InputError(
            f"deviation_gains: expected players >= 2, episodes >= 2 and paths >= 1, got {list(players)}, {episodes} and {paths}"
        )
    weight_of_entropy(tau, "deviation_gains")
    if not (tolerance > 0.0 and 0.0 < confidence < 1.0):
        raise InputError(f"deviation_gains: expected tolerance > 0 and confidence in (0, 1), got {tolerance} and {confidence}")
    chances = _checked(game, policy)
    examined(game, theta, float(tau), chances, feasible=feasible)
    return Case(game, chances, theta, float(tau), tolerance, episodes, paths, confidence, seed)


def _checked(game: MeanFieldGame, policy: Any) -> Float64[FloatArray, "horizon states actions"]:
    chances = float64_array(policy, f"{game.name}: policy", shape=game.shape)
    if bool(np.any(chances < -1e-12)) or float(np.abs(chances.sum(axis=-1) - 1.0).max()) > 1e-6:
        raise InputError(f"{game.name}: expected policy rows >= 0 that sum to 1")
    if game.legal is not None and float(np.where(game.legal, 0.0, chances).max()) > 1e-9:
        raise InputError(f"{game.name}: expected a policy that plays legal actions only")
    return np.clip(chances, 0.0, None)


def array(values: Any) -> Any:
    """As JAX's."""
    import jax.numpy as jnp

    return jnp.asarray(values)


def in_the_mean_field(case: Case) -> Finding:
    """Exploitability, with both ends of its bracket."""
    begun = perf_counter()
    gain, by_state, *_ = case.gains
    effort = {"bracket": [gain, gain], "tau": case.tau, "tolerance": case.tolerance, "seconds": round(perf_counter() - begun, 3)}
    how = "exact best response by dynamic programming"
    of = f" (entropy weighed by {case.tau:g})" if case.tau else ""
    if gain <= case.tolerance:
        reason = (
            f"no policy gains more than {gain:.4g}{of} against the flow: found is possible, to rounding; {case.tolerance:g} was asked for"
        )
        return Finding(EQUILIBRIUM, Verdict.PROVED, gain, None, how, effort, reason)
    begins = np.asarray(case.game.begins(case.theta), dtype=np.float64)
    state = int(np.argmax(np.where(begins > 0.0, by_state, -np.inf)))
    witness = Witness(
        "a player",
        _label(case.game.state_labels, state),
        _reply_in_words(case, state),
        None,
        gain,
        {"property": EQUILIBRIUM, "tau": case.tau, "seed": case.seed, "gain_of_this_state": float(by_state[state])},
    )
    reason = f"the best response gains {gain:.4g}{of}; most in state {witness.true_type}, {by_state[state]:.4g}"
    return Finding(EQUILIBRIUM, Verdict.REFUTED, gain, witness, how, effort, reason)


def _reply_in_words(case: Case, state: int) -> str:
    from hurwicz.meanfield import best_response, flow_of

    with float64_scope():
        flow = flow_of(case.game, array(case.policy), case.theta)
        chosen = int(np.asarray(best_response(case.game, flow, case.theta, 0.0))[0, state].argmax())
    return f"action {_label(case.game.action_labels, chosen)} in round 0"


def _label(labels: tuple[str, ...], index: int) -> str:
    return labels[index] if labels else str(index)


def participation(case: Case, outside: float | Sequence[float]) -> Finding:
    """Interim participation of every first state."""
    begun = perf_counter()
    name = Property.INTERIM_IR.value
    stays = np.broadcast_to(np.asarray(outside, dtype=np.float64), (case.game.states,))
    _, _, plain, soft, scale = case.gains
    there = np.asarray(case.game.begins(case.theta)) > 0.0
    short = np.where(there, stays - soft, -np.inf)
    allowed = 1e-9 * max(scale, float(np.abs(stays[there]).max()), 1e-300)
    worst = int(np.argmax(short))
    margin, money = -float(short[worst]), float((plain - stays)[there].min())
    effort = {
        "types": int(there.sum()),
        "tolerance": allowed,
        "tau": case.tau,
        "least_in_money": money,
        "seconds": round(perf_counter() - begun, 3),
    }
    how = "exact: dynamic programming, every first state"
    what = "every player does at least as well as by staying out"
    if case.tau:
        what = f"with the entropy, weighed by {case.tau:g}, {what}"
    if short[worst] <= allowed:
        reason = f"{what}, by {margin:.4g} or more"
        if case.tau:
            reason += f"; in money alone the least is {money:.4g}" + (", a loss that only the entropy makes up for" if money < 0.0 else "")
        return Finding(name, Verdict.PROVED, margin, None, how, effort, reason)
    label, loss = _label(case.game.state_labels, worst), float(short[worst])
    details = {"property": name, "utility": float(plain[worst]), "outside": float(stays[worst])}
    witness = Witness("a player", label, None, None, loss, details)
    return Finding(
        name, Verdict.REFUTED, margin, witness, how, effort, f"a player of state {label} expects {loss:.4g} less than by staying out"
    )


def _played(case: Case, players: int, measure: Any) -> tuple[Any, Any]:
    from hurwicz.audits.finite_population import best_reply, returns_of

    reply = best_reply(case.game, case.policy, players, case.theta, case.paths, 2 * case.seed)
    return returns_of(case.game, case.policy, [case.policy, reply], players, case.theta, case.episodes, 2 * case.seed + 1, measure)


def among(case: Case, players: int, measure: Any) -> tuple[Finding, Any]:
    """The finding about N players, and ``measure`` of every episode in which nobody departs."""
    from hurwicz.audits.finite_population import interval

    begun = perf_counter()
    returned, figures = _played(case, players, measure)
    gain, low, high = interval(returned[1] - returned[0], case.confidence)
    effort = {
        "players": players,
        "episodes": case.episodes,
        "paths": case.paths,
        "interval": [low, high],
        "confidence": case.confidence,
        "tolerance": case.tolerance,
        "utility": float(returned[0].mean()),
        "seed": case.seed,
        "seconds": round(perf_counter() - begun, 3),
    }
    name, how = equilibrium_of(players), "reply by dynamic programming over drawn paths, judged on fresh episodes"
    figure = f"{gain:.4g} in [{low:.4g}, {high:.4g}] ({100 * case.confidence:g} %, central limit theorem, {case.episodes} episodes)"
    if low <= case.tolerance:
        reason = f"the reply found gains {figure}; a better one may exist, and {case.tolerance:g} is not refuted"
        return Finding(name, Verdict.NOT_REFUTED, max(gain, 0.0), None, how, effort, reason), figures[0]
    details = {"property": name, "players": players, "tau": 0.0, "seed": case.seed, "interval": [low, high]}
    witness = Witness("a player", None, "the reply of this seed", None, gain, details)
    return Finding(
        name, Verdict.REFUTED, gain, witness, how, effort, f"one of {players} players gains {figure} by another policy"
    ), figures[0]
