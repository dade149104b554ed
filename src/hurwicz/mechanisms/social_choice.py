"""Groves' family over finitely many social alternatives: any h_i, Clarke's pivot, and the expected externality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, ShapeError
from hurwicz.mechanisms._arguments import ROUNDING, count, resizer, shared_out, ties_of
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, CorrelatedPrior, ProductPrior, Uniform

Values: TypeAlias = Float64[np.ndarray, "batch agents alternatives"]
Lottery: TypeAlias = Float64[np.ndarray, "batch alternatives"]
OthersTerm: TypeAlias = Callable[[str, Reports], Float64[np.ndarray, " batch"]]

_MOST_NODES = 200_000
_CHUNK = 4_000_000


def groves(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    alternatives: int | Sequence[str] = 2,
    others_term: OthersTerm | None = None,
    ties: str = "lottery",
) -> MultiParameterMechanism:
    """Groves mechanism: the best alternative for all, and each is paid what it is worth to the others, less what only they decide.

    k* = argmax_k sum_j theta_jk,  t_i = h_i(theta_-i) - sum_{j != i} theta_j,k*

    Args:
        agents: how many, or their names.
        prior: over each agent's values of the alternatives, shape (alternatives,); uniform on [0, 1] each if omitted.
        alternatives: how many, or their names.
        others_term: h_i: called with the agent's name and the others' reports, (batch, alternatives) each → (batch,); 0 if omitted.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: no alternative, or a prior over another number of them.

    Example:
        >>> pool_or_park = groves(["ann", "bob"], alternatives=["pool", "park"])
        >>> outcome = pool_or_park.outcome({"ann": [0.9, 0.2], "bob": [0.1, 0.6]})
        >>> outcome.allocation["ann"], round(outcome.payments["ann"], 9)  # bob's .1 for the pool is paid to ann
        (array([1., 0.]), -0.1)

    Source:
        T. Groves, "Incentives in teams", Econometrica 41 (1973); J. Green and J.-J. Laffont (1977): no other family is truthful and
        efficient on a rich domain.
    """
    source = "Groves 1973, Theorem 1"
    claims = [
        *strategyproof(source, "any h_i that does not see theta_i"),
        Claim(Property.EFFICIENCY, True, "", source),
    ]
    if others_term is None:
        claims += [
            Claim(Property.EX_POST_IR, True, "values >= 0 and h = 0", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "h = 0 pays every agent the others' welfare", source),
            Claim(Property.STRONG_BUDGET_BALANCE, False, "Green and Laffont 1977", source),
        ]

    def charge(name: str, others: Reports) -> Float64[np.ndarray, " batch"]:
        if others_term is None:
            return np.zeros(len(next(iter(others.values()))) if others else 1)
        found = np.asarray(others_term(name, others), dtype=np.float64)
        batch = len(next(iter(others.values())))
        if found.shape != (batch,):
            raise ShapeError(f"groves: expected others_term of shape {(batch,)}, got {found.shape}")
        return found

    return _social_choice(
        "Groves",
        agents,
        prior,
        alternatives,
        ties,
        charge,
        formula="k* = argmax_k sum_j theta_jk; t_i = h_i(theta_-i) - sum_{j != i} theta_jk*",
        source='T. Groves, "Incentives in teams", Econometrica 41 (1973)',
        guarantees=claims,
        again=resizer(groves, prior, alternatives=alternatives, others_term=others_term, ties=ties),
    ).in_groves_form()


def clarke_pivot(
    agents: Participants = 3, *, prior: Beliefs = None, alternatives: int | Sequence[str] = 2, ties: str = "lottery"
) -> MultiParameterMechanism:
    """Clarke's pivot mechanism: each agent pays the harm that its presence does to the others.

    k* = argmax_k sum_j theta_jk,  t_i = max_k sum_{j != i} theta_jk - sum_{j != i} theta_jk*

    Args:
        agents: how many, or their names.
        prior: over each agent's values of the alternatives, shape (alternatives,); uniform on [0, 1] each if omitted.
        alternatives: how many, or their names.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: no alternative, or a prior over another number of them.

    Example:
        >>> outcome = clarke_pivot(["ann", "bob", "cy"]).outcome({"ann": [0.9, 0.0], "bob": [0.0, 0.5], "cy": [0.0, 0.2]})
        >>> [round(t, 9) for t in outcome.payments.values()]  # ann turns the choice against .7 of the others'
        [0.7, 0.0, 0.0]

    Source:
        E. H. Clarke, "Multipart pricing of public goods", Public Choice 11 (1971).
    """
    source = "Clarke 1971"

    def charge(name: str, others: Reports) -> Float64[np.ndarray, " batch"]:
        del name
        if not others:
            return np.zeros(1)
        return np.asarray(np.asarray(sum(others.values())).max(axis=1), dtype=np.float64)

    return _social_choice(
        "Clarke pivot",
        agents,
        prior,
        alternatives,
        ties,
        charge,
        formula="k* = argmax_k sum_j theta_jk; t_i = max_k sum_{j != i} theta_jk - sum_{j != i} theta_jk*",
        source='E. H. Clarke, "Multipart pricing of public goods", Public Choice 11 (1971)',
        guarantees=[
            *strategyproof(source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.EX_POST_IR, True, "values >= 0", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "no pivot is paid", source),
            Claim(Property.STRONG_BUDGET_BALANCE, False, "pivots pay", "Green and Laffont 1977"),
        ],
        again=resizer(clarke_pivot, prior, alternatives=alternatives, ties=ties),
    ).in_groves_form(pivot="Clarke")


def expected_externality(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    alternatives: int | Sequence[str] = 2,
    ties: str = "lottery",
    samples: int = 4096,
    seed: int = 0,
) -> MultiParameterMechanism:
    """Expected-externality mechanism (AGV): efficient and balanced to the cent, truthful in expectation.

    xi_i(theta_i) = E[sum_{j != i} theta_j,k*(theta_i, theta_-i)],  t_i = -xi_i(theta_i) + 1/(n-1) sum_{j != i} xi_j(theta_j)

    The expectation is an exact sum where the others' profiles are finitely many (up to 200,000), else a mean over seeded draws from the
    prior: then the mechanism is BIC up to that mean's error.

    Args:
        agents: how many (at least 2), or their names.
        prior: independent, over each agent's values of the alternatives; uniform on [0, 1] each if omitted.
        alternatives: how many, or their names.
        ties: ``"lottery"`` or ``"order"``.
        samples: draws of the others where the expectation is not an exact sum (thirty-two times as many for two alternatives).
        seed: of those draws.

    Raises:
        InputError: one agent, or a prior that is not independent.

    Example:
        >>> from hurwicz.typespaces import FinitePrior
        >>> prior = FinitePrior([[1.0, 0.0], [0.0, 2.0]])
        >>> outcome = expected_externality(2, prior=prior).outcome({"agent 1": [1.0, 0.0], "agent 2": [0.0, 2.0]})
        >>> [round(t, 9) for t in outcome.payments.values()], sum(outcome.payments.values())
        ([-0.5, 0.5], 0.0)

    Source:
        C. d'Aspremont and L.-A. Gérard-Varet, "Incentives and incomplete information", Journal of Public Economics 11 (1979).
    """
    names = participants(agents, "agent", least=2)
    joint, labels = _setting(names, prior, alternatives)
    if isinstance(joint, CorrelatedPrior):
        raise InputError("expected_externality: expected independent types (one prior an agent), got a correlated prior")
    ties_of("expected externality", ties)
    externality = {
        name: _Externality(joint, name, ties, count("expected externality", "samples", samples), np.random.default_rng((seed, k)))
        for k, name in enumerate(names)
    }
    others = len(names) - 1
    source = "d'Aspremont and Gérard-Varet 1979, Theorem 6"

    def rule(reports: Reports) -> tuple[dict[str, Lottery], dict[str, Float64[np.ndarray, " batch"]]]:
        chosen = shared_out(ties, _stacked(names, reports).sum(axis=1))
        owed = np.stack([externality[name](reports[name]) for name in names], axis=1)
        paid = (owed.sum(axis=1, keepdims=True) - owed) / others - owed
        return dict.fromkeys(names, chosen), {name: paid[:, i] for i, name in enumerate(names)}

    return MultiParameterMechanism(
        name="expected externality",
        rule=rule,
        prior=joint,
        efficient=lambda reports: dict.fromkeys(names, shared_out(ties, _stacked(names, reports).sum(axis=1))),
        guarantees=(
            Claim(Property.BIC, True, "independent types", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.STRONG_BUDGET_BALANCE, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim(Property.DSIC, False, "payments rest on the prior, not on the others' reports", source),
            Claim(Property.EX_POST_IR, False, "", source),
        ),
        formula="k* efficient; t_i = -xi_i(theta_i) + mean_{j != i} xi_j(theta_j); xi_i = E of the others' welfare at k*",
        source="C. d'Aspremont and L.-A. Gérard-Varet, Journal of Public Economics 11 (1979)",
        labels=labels,
        resized=resizer(expected_externality, prior, alternatives=alternatives, ties=ties, samples=samples, seed=seed),
    )


def _social_choice(
    name: str,
    agents: Participants,
    prior: Beliefs,
    alternatives: int | Sequence[str],
    ties: str,
    others_term: OthersTerm,
    *,
    formula: str,
    source: str,
    guarantees: Sequence[Claim],
    again: Callable[[Sequence[str]], MultiParameterMechanism] | None,
) -> MultiParameterMechanism:
    names = participants(agents, "agent")
    joint, labels = _setting(names, prior, alternatives)
    ties_of(name, ties)

    def rule(reports: Reports) -> tuple[dict[str, Lottery], dict[str, Float64[np.ndarray, " batch"]]]:
        values = _stacked(names, reports)
        total = values.sum(axis=1)
        chosen = shared_out(ties, total)
        paid = {}
        for i, agent in enumerate(names):
            others = {other: reports[other] for other in names if other != agent}
            harmless = np.einsum("bk,bk->b", total - values[:, i], chosen)
            paid[agent] = others_term(agent, others) - harmless
        return dict.fromkeys(names, chosen), paid

    return MultiParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        efficient=lambda reports: dict.fromkeys(names, shared_out(ties, _stacked(names, reports).sum(axis=1))),
        guarantees=tuple(guarantees),
        formula=formula,
        source=source,
        labels=labels,
        resized=again,
    )


class _Externality:
    """xi_i: the others' expected welfare, as a function of agent i's report."""

    def __init__(self, prior: ProductPrior, agent: str, ties: str, samples: int, rng: np.random.Generator) -> None:
        exact = all(p.space.size is not None for n, p in prior.marginals.items() if n != agent)
        if exact and prior.node_count(1, without=agent) <= _MOST_NODES:
            points, self._weights = prior.quadrature(1, without=agent)
        else:
            size = samples * (32 if _dims(prior.marginals[agent].space) == 2 else 1)
            points = {n: p.sample(rng, size) for n, p in prior.marginals.items() if n != agent}
            self._weights = np.full(size, 1.0 / size)
        self._sums = np.asarray(sum(np.asarray(v, dtype=np.float64) for v in points.values()))
        self._ties = ties
        if self._sums.shape[1] == 2:
            lead = self._sums[:, 0] - self._sums[:, 1]
            order = np.argsort(lead)
            self._lead = lead[order]
            mass = self._weights[order, None] * self._sums[order]
            self._below = np.concatenate([np.zeros((1, 2)), np.cumsum(mass, axis=0)])

    def __call__(self, reports: Float64[np.ndarray, "batch alternatives"]) -> Float64[np.ndarray, " batch"]:
        if self._sums.shape[1] == 2:
            return self._of_two(reports)
        distinct, back = np.unique(reports, axis=0, return_inverse=True)
        out = np.empty(len(distinct))
        per = max(1, _CHUNK // self._sums.size)
        for begin in range(0, len(distinct), per):
            part = distinct[begin : begin + per]
            both = part[:, None, :] + self._sums[None]
            chosen = shared_out(self._ties, both.reshape(-1, both.shape[2])).reshape(both.shape)
            out[begin : begin + per] = np.einsum("pnk,nk,n->p", chosen, self._sums, self._weights)
        return out[back.ravel()]

    def _of_two(self, reports: Float64[np.ndarray, "batch two"]) -> Float64[np.ndarray, " batch"]:
        # sorted by how far the others lean to the first alternative: whoever leans more than the report leans back has it
        edge = reports[:, 1] - reports[:, 0]
        near = ROUNDING * np.maximum(1.0, np.abs(reports).max(axis=1))
        low, high = np.searchsorted(self._lead, edge - near, "left"), np.searchsorted(self._lead, edge + near, "right")
        first = self._below[-1, 0] - self._below[high, 0]
        second = self._below[low, 1]
        tied = self._below[high] - self._below[low]
        return np.asarray(first + second + (tied[:, 0] if self._ties == "order" else 0.5 * tied.sum(axis=1)), dtype=np.float64)


def _setting(names: Sequence[str], prior: Beliefs, alternatives: int | Sequence[str]) -> tuple[JointPrior, dict[str, Sequence[str]]]:
    listed = [f"alternative {k + 1}" for k in range(alternatives)] if isinstance(alternatives, int) else list(alternatives)
    if not listed or len(set(listed)) != len(listed):
        raise InputError(f"expected at least one alternative and different names, got {alternatives!r}")
    dims = len(listed)
    joint = beliefs(names, Uniform(Box(np.zeros(dims), np.ones(dims))) if prior is None else prior)
    for name, space in joint.spaces.items():
        if _dims(space) != dims:
            raise InputError(f"expected types with a value for each of {dims} alternatives {listed}, got {space!r} for {name!r}")
    return joint, dict.fromkeys(names, listed)


def _dims(space: object) -> int:
    grid = np.asarray(space.grid(1))  # type: ignore[attr-defined]
    return int(grid.shape[1]) if grid.ndim == 2 else 0


def _stacked(names: Sequence[str], reports: Reports) -> Values:
    return np.stack([reports[name] for name in names], axis=1)


ENTRIES: tuple[Entry, ...] = (
    Entry("groves", "general", groves, least=1),
    Entry("clarke_pivot", "general", clarke_pivot, least=1),
    Entry("expected_externality", "general", expected_externality, least=2),
)
