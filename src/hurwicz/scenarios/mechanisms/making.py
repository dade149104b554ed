"""A mechanism by its name, or out of a person's own file, made for the agents, beliefs and options that a scenario names."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms import make, registry
from hurwicz.scenarios.mechanisms.own_file import from_file, in_own_words
from hurwicz.scenarios.mechanisms.prior_text import beliefs_from, in_full
from hurwicz.settings import Claim, DirectMechanism, JointPrior, beliefs
from hurwicz.typespaces import TypeSpace

if TYPE_CHECKING:
    from hurwicz.scenarios.schema import MechanismTable

_OWN_PRIOR = ("uniform",)
_FEWEST = 2


@dataclass(frozen=True)
class Recipe:
    """All that it takes to make a mechanism again: what a witness carries.

    Attributes:
        mechanism: a name of the registry, or ``FILE.py:FUNCTION``.
        agents: how many, or their names; two (or the fewest that it takes) if ``None``.
        prior: texts of priors, one for all or one for each agent.
        grid: cells of a finite grid of types, if any.
        options: the mechanism's own.

    Example:
        >>> Recipe.from_dict(Recipe("second_price", 3, options={"reserve": 0.5}).to_dict()).options
        {'reserve': 0.5}
    """

    mechanism: str
    agents: int | Sequence[str] | None = None
    prior: Sequence[str] = _OWN_PRIOR
    grid: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: MechanismTable) -> Recipe:
        """The mechanism of a scenario."""
        prior = [scenario.prior] if isinstance(scenario.prior, str) else scenario.prior
        return cls(scenario.mechanism, scenario.agents, prior, scenario.grid, scenario.options)

    @property
    def name(self) -> str:
        """What tables and files call it."""
        return self.mechanism.rpartition(":")[2] if self.own_file else self.mechanism

    @property
    def own_file(self) -> bool:
        """Whether it comes out of a person's own file."""
        return ".py" in self.mechanism

    @property
    def undecided(self) -> bool:
        """Whether nobody said what to believe: the mechanism's own prior stays, if it has one."""
        return tuple(self.prior) == _OWN_PRIOR and self.grid is None

    def to_dict(self) -> dict[str, Any]:
        """As plain data; files of past types are written out."""
        agents = self.agents if self.agents is None or isinstance(self.agents, int) else list(self.agents)
        return {
            "mechanism": self.mechanism,
            "agents": agents,
            "prior": in_full(self.prior),
            "grid": self.grid,
            "options": dict(self.options),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """What :meth:`to_dict` wrote."""
        return cls(data["mechanism"], data["agents"], data["prior"], data["grid"], data["options"])


def make_mechanism(recipe: Recipe) -> DirectMechanism:
    """The mechanism of a recipe.

    Raises:
        InputError: an unknown name, option or prior, a file that cannot be used, agents that the mechanism does not take.

    Example:
        >>> len(make_mechanism(Recipe("second_price", agents=3)).agents)
        3
    """
    if recipe.own_file:
        return _from_own_file(recipe)
    known = registry().get(recipe.mechanism)
    if known is None:
        if "/" not in recipe.mechanism and "." not in recipe.mechanism:
            make(recipe.mechanism)  # says which names are near
        raise InputError(f"mechanism: expected a name of the library (hurwicz audit --list) or FILE.py:FUNCTION; got {recipe.mechanism!r}")
    agents = max(_FEWEST, known.least) if recipe.agents is None else recipe.agents
    options = checked_options(recipe.mechanism, known.make, recipe.options, known.options)
    return _believing(recipe, lambda **believed: make(recipe.mechanism, agents, **options, **believed))


def how_many(agents: Sequence[str]) -> str:
    """Their number in words that a title can have.

    Example:
        >>> how_many(["a"]), how_many(["a", "b"])
        ('1 agent', '2 agents')
    """
    return f"{len(agents)} agent{'' if len(agents) == 1 else 's'}"


def declared(mechanism: Any) -> dict[str, Claim]:
    """Property → what the mechanism says of it; the guarantee where it says both, under different conditions."""
    claims: Sequence[Claim] = getattr(mechanism, "guarantees", ())
    return {claim.property: claim for claim in sorted(claims, key=lambda claim: claim.holds)}


def checked_options(name: str, maker: Callable[..., Any], options: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the types that the function's signature says.

    Args:
        name: of the mechanism, for messages.
        maker: the function.
        options: as given; texts are read as the signature says.
        known: name → default of every option.

    Raises:
        InputError: an unknown option, or a value of another type.

    Example:
        >>> def second_price(agents, *, reserve: float = 0.0): ...
        >>> checked_options("second_price", second_price, {"reserve": "0.5"}, {"reserve": 0.0})
        {'reserve': 0.5}
    """
    import difflib

    wrong = [option for option in options if option not in known]
    if wrong:
        near = difflib.get_close_matches(wrong[0], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known) or 'none'}"
        raise InputError(f"{name}: unknown option {wrong[0]!r}; {hint}")
    try:
        hints = typing.get_type_hints(maker)
    except NameError:  # a type that its module imports for type checkers only
        hints = {}
    return {option: _typed(name, option, value, hints.get(option), known[option]) for option, value in options.items()}


def _typed(name: str, option: str, value: Any, hint: Any, default: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    wanted = hint if hint is not None else type(default) if default is not None else Any
    try:
        adapter = TypeAdapter(wanted, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value
    last: ValidationError | None = None
    for candidate in _readings(value):
        try:
            return adapter.validate_python(candidate)
        except ValidationError as error:
            last = error
    assert last is not None
    said = last.errors()[0]["msg"].removeprefix("Input should be ")
    raise InputError(f"{name}: option {option!r}: expected {said}; got {value!r}")


def _readings(value: Any) -> list[Any]:
    """A text as it is, as JSON, and as a list."""
    import json

    if not isinstance(value, str):
        return [value]
    found: list[Any] = []
    for text in (value, f"[{value}]"):
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return [*found[:1], value, *found[1:], value.split(",")]


def _from_own_file(recipe: Recipe) -> DirectMechanism:
    maker = from_file(recipe.mechanism)
    if not callable(maker):
        if recipe.options or recipe.agents is not None:
            raise InputError(f"{recipe.mechanism}: is a mechanism already made; it takes no agents and no options")
        return _as_mechanism(recipe.mechanism, _other_prior(recipe, maker))
    parameters = inspect.signature(maker).parameters
    keywords = {p.name: p.default for p in parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    first = next((p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)), None)
    takes_agents = first is not None and first.name != "prior"
    if takes_agents and first is not None:
        keywords.pop(first.name, None)
    elif recipe.agents is not None:
        raise InputError(f"{recipe.mechanism}: takes no agents; leave them out, or give it a first argument for them")
    takes_prior = "prior" in keywords
    keywords.pop("prior", None)
    options = checked_options(recipe.mechanism, maker, recipe.options, keywords)
    agents = recipe.agents
    if takes_agents and agents is None and first is not None and first.default is inspect.Parameter.empty:
        agents = _FEWEST
    given = () if not takes_agents or agents is None else (agents,)

    def made(**believed: Any) -> DirectMechanism:
        with in_own_words(recipe.mechanism):
            mechanism = maker(*given, **options, **(believed if takes_prior else {}))
        mechanism = _as_mechanism(recipe.mechanism, mechanism)
        if takes_prior or not believed:
            return mechanism
        return _as_mechanism(recipe.mechanism, _with_prior(recipe, mechanism, believed["prior"]))

    return _believing(recipe, made)


def _believing(recipe: Recipe, made: Callable[..., DirectMechanism]) -> DirectMechanism:
    """The mechanism under the recipe's beliefs; its own where they are the plain ``uniform``."""
    if recipe.undecided:
        return made()
    try:
        spaces = made().type_spaces
    except InputError:  # options that only fit the beliefs to come: then one number each, as auctions have
        from hurwicz.settings import participants
        from hurwicz.typespaces import Interval

        spaces = dict.fromkeys(participants(_FEWEST if recipe.agents is None else recipe.agents), Interval(0.0, 1.0))
    each = beliefs_from(recipe.prior, spaces, grid=recipe.grid)
    # one prior for all is no prior about these agents by name: the mechanism can be made for others, with second names and invented bids
    return made(prior=next(iter(each.values())) if len(in_full(recipe.prior)) == 1 and _alike(list(spaces.values())) else each)


def _alike(spaces: Sequence[TypeSpace]) -> bool:
    first, *others = spaces
    return all(type(space) is type(first) and _ends(space) == _ends(first) for space in others)


def _ends(space: TypeSpace) -> list[Any]:
    members = (getattr(space, name, None) for name in ("low", "high", "dims", "values"))
    return [np.asarray(member).tolist() for member in members]


def common_prior(recipe: Recipe, mechanism: Any) -> JointPrior | None:
    """What is believed of a mechanism that carries no prior: the recipe's, over its own type spaces; None where it carries one.

    Raises:
        InputError: a prior that does not fit its types.
    """
    if getattr(mechanism, "prior", None) is not None:
        return None
    try:
        return beliefs(list(mechanism.agents), beliefs_from(recipe.prior, mechanism.type_spaces))
    except InputError:
        if tuple(recipe.prior) != _OWN_PRIOR:
            raise
        return None  # nobody asked for one, and uniform says nothing over such types


def _other_prior(recipe: Recipe, mechanism: Any) -> Any:
    if recipe.undecided:
        return mechanism
    return _with_prior(recipe, mechanism, beliefs_from(recipe.prior, mechanism.type_spaces, grid=recipe.grid))


def _with_prior(recipe: Recipe, mechanism: Any, prior: Any) -> Any:
    if recipe.grid is None and getattr(mechanism, "prior", None) is None:
        return mechanism  # the auditor is handed the prior: see common_prior
    if not hasattr(mechanism, "with_prior"):
        raise InputError(
            f"{recipe.mechanism}: takes no prior, so that neither a prior nor a grid can be set from outside; give the function a "
            "keyword prior=None and hand it on"
        )
    return mechanism.with_prior(prior)


def _as_mechanism(where: str, made: Any) -> DirectMechanism:
    if isinstance(made, DirectMechanism):
        return made
    missing = [name for name in ("agents", "type_spaces", "outcome", "value", "welfare") if not hasattr(made, name)]
    raise InputError(
        f"{where}: expected a mechanism, got {type(made).__name__} without {', '.join(missing)}; return what "
        "hurwicz.mechanisms.single_parameter(name, rule, agents) makes, say"
    )
