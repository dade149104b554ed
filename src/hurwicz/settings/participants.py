"""Who takes part, and what everybody believes of their types: the two arguments that every mechanism starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any, SupportsIndex, TypeAlias

from hurwicz._foundation import InputError
from hurwicz.typespaces import CorrelatedPrior, Interval, Prior, ProductPrior, Uniform

JointPrior: TypeAlias = ProductPrior | CorrelatedPrior
Participants: TypeAlias = int | Sequence[str]
Beliefs: TypeAlias = Prior | Mapping[str, Prior] | JointPrior | None


def participants(who: Participants, role: str = "bidder", *, least: int = 1) -> tuple[str, ...]:
    """Names: those given, or ``"bidder 1", "bidder 2", ...``.

    Args:
        who: how many, or their names.
        role: what they are called where only their number is given.
        least: as few as the mechanism has a meaning for.

    Raises:
        InputError: neither a whole number nor names, fewer than ``least``, a name given twice.

    Example:
        >>> participants(2), participants(["ann", "bob"])
        (('bidder 1', 'bidder 2'), ('ann', 'bob'))
    """
    wrong = f"expected a number of {role}s or a list of their names, got "
    if isinstance(who, str):
        raise InputError(f"{wrong}the single string {who!r}")
    given: Any = who
    if isinstance(given, bool) or not isinstance(given, Iterable | SupportsIndex):
        raise InputError(f"{wrong}{given!r}")
    names: tuple[Any, ...] = tuple(given) if isinstance(given, Iterable) else tuple(f"{role} {k + 1}" for k in range(index(given)))
    nameless = [name for name in names if not isinstance(name, str) or not name.strip()]
    if nameless:
        raise InputError(f"expected every name to be a text that is not empty, got {nameless[0]!r}")
    if len(names) < least:
        raise InputError(f"expected at least {least} {role}{'s' if least > 1 else ''}, got {len(names)}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"expected different names, got {twice} more than once; rename one of each")
    return names


def beliefs(names: Sequence[str], prior: Beliefs) -> JointPrior:
    """The common prior over the types of ``names``.

    Args:
        names: agents, in order.
        prior: one prior for everybody (independent, identical), one an agent, or a joint one; uniform on [0, 1] if ``None``.

    Raises:
        InputError: a mapping or joint prior for other agents, or something that is no prior.

    Example:
        >>> beliefs(["a", "b"], None).mean
        {'a': 0.5, 'b': 0.5}
    """
    if isinstance(prior, ProductPrior | CorrelatedPrior):
        if set(prior.agents) != set(names):
            raise InputError(f"expected a prior for the agents {list(names)}, got one for {list(prior.agents)}")
        return prior
    if isinstance(prior, Mapping):
        if set(prior) != set(names):
            raise InputError(f"expected a prior for each of {list(names)}, got priors for {list(prior)}")
        return ProductPrior({name: _prior(prior[name]) for name in names})
    same = Uniform(Interval(0.0, 1.0)) if prior is None else _prior(prior)
    return ProductPrior(dict.fromkeys(names, same))


def _prior(given: Any) -> Prior:
    if isinstance(given, type) or not all(hasattr(given, member) for member in ("space", "mean", "sample", "quadrature")):
        raise InputError(
            f"expected a prior of hurwicz.typespaces (Uniform(Interval(0.0, 1.0)), FinitePrior([1.0, 2.0]), ..), one an agent by name, or "
            f"a joint one; got {given!r}"
        )
    prior: Prior = given
    return prior
