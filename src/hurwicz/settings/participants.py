"""Who takes part, and what everybody believes of their types: the two arguments that every mechanism starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

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
        InputError: fewer than ``least``, or a name given twice.

    Example:
        >>> participants(2), participants(["ann", "bob"])
        (('bidder 1', 'bidder 2'), ('ann', 'bob'))
    """
    if isinstance(who, str):
        raise InputError(f"expected a number of {role}s or a list of their names, got the single string {who!r}")
    names = tuple(f"{role} {k + 1}" for k in range(who)) if isinstance(who, int) else tuple(who)
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
        InputError: a mapping or joint prior for other agents.

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
        return ProductPrior({name: prior[name] for name in names})
    same = Uniform(Interval(0.0, 1.0)) if prior is None else prior
    return ProductPrior(dict.fromkeys(names, same))
