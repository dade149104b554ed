"""A public project of a known cost: build it where it is worth it, and find out by payments what it is worth to each."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import ROUNDING, count, ends, number, resizer
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import CorrelatedPrior, DensityPrior, FinitePrior, Prior

_Vector: TypeAlias = Float64[np.ndarray, " atoms"]


def pivotal_public_good(
    agents: Participants = 3, *, prior: Beliefs = None, cost: float | None = None, nominal: str = "equal"
) -> SingleParameterMechanism:
    """Pivotal mechanism for a public project: build where values cover the cost, pivotal agents pay for the harm they do.

    d = 1 if sum_j theta_j >= C;  nominal shares C/n ("equal"):  w_j = theta_j - C/n,
    t_i = C/n d + max(0, sum_{j != i} w_j) - d sum_{j != i} w_j;  without nominal shares ("none"):
    t_i = max(0, sum_{j != i} theta_j - C) - d (sum_{j != i} theta_j - C).

    With equal nominal shares the project is always paid for, and an agent who does not want it may be made to pay; without them nobody
    loses, and the payments do not cover the cost. No mechanism that is truthful and efficient does both.

    Args:
        agents: how many, or their names.
        prior: over what the project is worth to each; uniform on [0, 1] if omitted.
        cost: C >= 0; half the number of agents if omitted.
        nominal: ``"equal"`` or ``"none"``.

    Raises:
        InputError: a negative cost, or another word for ``nominal``.

    Example:
        >>> bridge = pivotal_public_good(["ann", "bob", "cy"], cost=1.5)
        >>> outcome = bridge.outcome({"ann": 0.9, "bob": 0.4, "cy": 0.3})
        >>> {name: round(t, 9) for name, t in outcome.payments.items()}  # ann turns the choice: the others' net loss is .3
        {'ann': 0.8, 'bob': 0.5, 'cy': 0.5}

    Source:
        E. H. Clarke (1971); J. Green and J.-J. Laffont, Incentives in Public Decision-Making (1979).
    """
    names = participants(agents, "agent")
    price = number("pivotal public good", "cost", 0.5 * len(names) if cost is None else cost)
    if nominal not in ("equal", "none"):
        raise InputError(f"pivotal_public_good: expected nominal to be 'equal' or 'none', got {nominal!r}")
    share = price / len(names) if nominal == "equal" else 0.0
    rest = price - share  # what the others' values have to cover in the choice that they would make without i

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        built = _built(bids, price)
        others = bids.sum(axis=1, keepdims=True) - bids - rest
        return built, share * built + np.maximum(0.0, others) - built * others

    source = "Green and Laffont 1979, ch. 3"
    equal = nominal == "equal"
    many = len(names) > 1
    return SingleParameterMechanism(
        name="pivotal public good",
        rule=rule,
        prior=beliefs(names, prior),
        sides=np.ones(len(names)),
        cost=lambda shares: price * shares.max(axis=1),
        excess=_one_level,
        efficient=lambda types: _built(types, price),
        guarantees=(
            *strategyproof(source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim(Property.PLANNER_IR, equal or not many or price == 0.0, "with equal nominal shares the cost is covered", source),
            Claim(Property.EX_POST_IR, not equal or not many or price == 0.0, "without nominal shares nobody loses", source),
        ),
        formula="d = 1[sum theta >= C]; t_i = s_i d + max(0, sum_{j != i} theta_j - C + s_i) - d (sum_{j != i} theta_j - C + s_i)",
        source="E. H. Clarke (1971); J. Green and J.-J. Laffont (1979)",
        resized=resizer(pivotal_public_good, prior, cost=cost, nominal=nominal),
    ).in_groves_form(pivot="" if share else "Clarke")


def expected_externality_public_good(
    agents: Participants = 3, *, prior: Beliefs = None, cost: float | None = None, cells: int = 1024
) -> SingleParameterMechanism:
    """Expected-externality mechanism (AGV) for a public project: built where it is worth it, paid for exactly, truthful in expectation.

    w_j = theta_j - C/n,  xi_i(theta_i) = E[d sum_{j != i} w_j | theta_i],  t_i = C/n d - xi_i(theta_i) + 1/(n-1) sum_{j != i} xi_j(theta_j)

    The law of the others' sum is exact for finite priors and a convolution over cells for densities.

    Args:
        agents: how many (at least 2), or their names.
        prior: independent priors over what the project is worth, finite or with a density; uniform on [0, 1] if omitted.
        cost: C >= 0; half the number of agents if omitted.
        cells: of the widest type space, for densities: the error of xi falls with their square.

    Raises:
        InputError: one agent, a correlated prior, a negative cost, or a prior without density.

    Example:
        >>> bridge = expected_externality_public_good(3, cost=1.5)
        >>> paid = bridge.outcome({"agent 1": 0.9, "agent 2": 0.4, "agent 3": 0.3}).payments
        >>> round(sum(paid.values()), 9)  # the cost, to the cent
        1.5

    Source:
        C. d'Aspremont and L.-A. Gérard-Varet, Journal of Public Economics 11 (1979).
    """
    names = participants(agents, "agent", least=2)
    price = number("expected externality public good", "cost", 0.5 * len(names) if cost is None else cost)
    count("expected externality public good", "cells", cells, least=2)
    joint = beliefs(names, prior)
    if isinstance(joint, CorrelatedPrior):
        raise InputError("expected_externality_public_good: expected independent types (one prior an agent), got a correlated prior")
    share, others = price / len(names), len(names) - 1
    laws = {name: _SumLaw([p for n, p in joint.marginals.items() if n != name], cells) for name in names}

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        built = _built(bids, price)
        xi = np.stack([laws[name].mean_above(price - bids[:, i], others * share) for i, name in enumerate(names)], axis=1)
        return built, share * built - xi + (xi.sum(axis=1, keepdims=True) - xi) / others

    source = "d'Aspremont and Gérard-Varet 1979"
    return SingleParameterMechanism(
        name="expected externality public good",
        rule=rule,
        prior=joint,
        sides=np.ones(len(names)),
        cost=lambda shares: price * shares.max(axis=1),
        excess=_one_level,
        efficient=lambda types: _built(types, price),
        guarantees=(
            Claim(Property.BIC, True, "independent types", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.PLANNER_IR, True, "payments sum to the cost exactly", source),
            Claim(Property.DSIC, False, "payments rest on the prior", source),
            Claim(Property.EX_POST_IR, False, "", source),
        ),
        formula="d = 1[sum theta >= C]; t_i = C/n d - xi_i(theta_i) + mean_{j != i} xi_j(theta_j)",
        source="C. d'Aspremont and L.-A. Gérard-Varet, Journal of Public Economics 11 (1979)",
        resized=resizer(expected_externality_public_good, prior, cost=cost, cells=cells),
    )


class _SumLaw:
    """The distribution of a sum of independent types: exact atoms for finite priors, cells of one width where there is a density."""

    def __init__(self, priors: list[Prior], cells: int) -> None:
        self.width = 0.0
        smooth = [p for p in priors if not isinstance(p, FinitePrior)]
        if smooth:
            self.width = max(high - low for low, high in (ends(p.space) for p in smooth)) / cells
        atoms: _Vector = np.zeros(1)
        mass: _Vector = np.ones(1)
        for prior in priors:
            own, weight = _atoms(prior, self.width)
            atoms, back = np.unique(np.round(atoms[:, None] + own[None], 12).ravel(), return_inverse=True)
            mass = np.asarray(np.bincount(back.ravel(), weights=(mass[:, None] * weight[None]).ravel()), dtype=np.float64)
        self.atoms: _Vector = atoms
        self._tail = np.concatenate([np.cumsum(mass[::-1])[::-1], [0.0]])
        self._moment = np.concatenate([np.cumsum((mass * atoms)[::-1])[::-1], [0.0]])

    def mean_above(self, edge: Float64[np.ndarray, " batch"], less: float) -> Float64[np.ndarray, " batch"]:
        """E[(S - less) 1(S >= edge)]; a cell's mass is spread evenly over its width."""
        gain = self._moment - less * self._tail
        if self.width == 0.0:
            first = np.searchsorted(self.atoms, edge - ROUNDING * np.maximum(1.0, np.abs(edge)), "left")
            return np.asarray(gain[first], dtype=np.float64)
        borders = np.concatenate([self.atoms - 0.5 * self.width, [self.atoms[-1] + 0.5 * self.width]])
        return np.asarray(np.interp(edge, borders, gain), dtype=np.float64)


def _atoms(prior: Prior, width: float) -> tuple[_Vector, _Vector]:
    if isinstance(prior, FinitePrior):
        ends(prior.space)
        return np.asarray(prior.space.grid(0), dtype=np.float64), prior.probabilities
    if not isinstance(prior, DensityPrior):
        raise InputError(f"expected finite priors or priors with a density (pdf, cdf), got {prior!r}")
    low, high = ends(prior.space)
    borders: _Vector = low + width * np.arange(int(np.ceil((high - low) / width - 1e-9)) + 1)
    mass = np.diff(prior.cdf(borders))
    return borders[:-1] + 0.5 * width, mass / mass.sum()


def _built(values: Bids, price: float) -> Shares:
    enough = values.sum(axis=1) >= price - ROUNDING * max(1.0, price)
    return np.repeat(enough[:, None], values.shape[1], axis=1).astype(np.float64)


def _one_level(shares: Shares) -> Float64[np.ndarray, " batch"]:
    # a public good is there for all or for nobody, and at most once
    return np.asarray(np.maximum(shares.max(axis=1) - 1.0, shares.max(axis=1) - shares.min(axis=1)), dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("pivotal_public_good", "general", pivotal_public_good, least=2),
    Entry("expected_externality_public_good", "general", expected_externality_public_good, least=2),
)
