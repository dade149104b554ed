"""A scenario file → a checked scenario, or every mistake in it with its line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hurwicz._foundation import ScenarioError
from hurwicz.scenarios.schema import KINDS, Scenario, table_of

_Location = tuple[str | int, ...]
_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid list": "a list",
    "a valid boolean": "true or false",
    "a valid dictionary": "a table",
}


def load_scenario(path: str | Path) -> Scenario:
    r"""Read and check a scenario file.

    Args:
        path: a TOML file; its ``kind`` says which schema holds.

    Returns:
        The scenario, every key checked, file names in it resolved against the scenario's own folder.

    Raises:
        ScenarioError: not readable, not TOML, or with mistakes: one line of message for each, with its line in the file.

    Example:
        >>> import tempfile
        >>> from hurwicz._foundation import ScenarioError
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "s.toml")
        ...     _ = path.write_text('kind = "dispatch"\ncase = "case14_ieee"\nvalue_of_lost_laod = 1e4\n')
        ...     try:
        ...         load_scenario(path)
        ...     except ScenarioError as error:
        ...         print(error.line, error.message)
        3 value_of_lost_laod: unknown key; did you mean 'value_of_lost_load'?
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"cannot be read ({error.strerror}); expected a TOML file", path=path) from error
    except UnicodeDecodeError as error:
        raise ScenarioError("is not text in UTF-8; expected a TOML file", path=path) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"is not valid TOML: {error}", path=path) from error
    kind = content.get("kind")
    if kind not in KINDS:
        known = ", ".join(f'"{name}"' for name in KINDS)
        came = "it is missing" if kind is None else f"got {kind!r}"
        raise ScenarioError(f"kind: expected one of {known}; {came}", path=path, line=_lines(text).get(("kind",)))
    model = KINDS[kind]
    try:
        return model.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        raise _with_lines(error, model, path, _lines(text)) from None


def build_scenario(kind: str, values: Mapping[str, Any]) -> Scenario:
    """The scenario of that kind with these keys, checked as if they had come from a file.

    Raises:
        ScenarioError: a key that is unknown or has a value that it cannot have.

    Example:
        >>> build_scenario("audit", {"mechanism": "second_price", "agents": 3}).agents
        3
    """
    model = KINDS[kind]
    try:
        return model.model_validate({"kind": kind} | dict(values))
    except ValidationError as error:
        raise ScenarioError("\n".join(sentence for _, sentence in _mistakes(error, model))) from None


def _lines(text: str) -> dict[_Location, int]:
    """The line on which each key's statement begins.

    The parser itself is asked: a prefix of the file that parses ends a statement, and the keys it adds stand in
    the lines since the last one that did. So strings and arrays over several lines need no grammar of ours.
    """
    found: dict[_Location, int] = {}
    lines = text.splitlines()
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        while start < end - 1 and (not lines[start].strip() or lines[start].lstrip().startswith("#")):
            start += 1
        for location in _locations(content):
            found.setdefault(location, start + 1)
        start = end
    return found


def _locations(content: Any, here: _Location = ()) -> list[_Location]:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    inner = [location for key, value in entries for location in _locations(value, (*here, key))]
    return [here, *inner] if here else inner


def _with_lines(error: ValidationError, model: type[BaseModel], path: Path, lines: dict[_Location, int]) -> ScenarioError:
    """All mistakes in one error: the first carries the line, the others follow, each with its own."""
    mistakes = []
    for location, sentence in _mistakes(error, model):
        known = next((location[:n] for n in range(len(location), 0, -1) if location[:n] in lines), ())
        mistakes.append((lines.get(known), sentence))
    mistakes.sort(key=lambda mistake: mistake[0] or 0)
    line, message = mistakes[0]
    others = [f"{path}:{where}: {what}" if where else f"{path}: {what}" for where, what in mistakes[1:]]
    return ScenarioError("\n".join([message, *others]), path=path, line=line)


def _mistakes(error: ValidationError, model: type[BaseModel]) -> list[tuple[_Location, str]]:
    """Where and what, each key once: a value that fits none of the types that it may have is one mistake, told by all of them."""
    found: dict[_Location, list[Any]] = {}
    for detail in error.errors():
        found.setdefault(_key(tuple(detail["loc"]), model), []).append(detail)
    mistakes = []
    for location, details in found.items():
        first = details[0]
        if len(details) > 1:
            texts = dict.fromkeys(str(d["msg"]).removeprefix("Value error, ").removeprefix("Input should be ") for d in details)
            first = {**first, "msg": "Input should be " + " or ".join(texts)}
        mistakes.append((location, _sentence(first, location, model)))
    return mistakes


def _key(location: _Location, model: type[BaseModel]) -> _Location:
    """The key of the file that a location is about, without the names of the types that pydantic tried."""
    name = location[0] if location else None
    if isinstance(name, str) and name in model.model_fields and table_of(model.model_fields[name].annotation) is None:
        places = [part for part in location[1:] if isinstance(part, int)]
        kinds = [part for part in location[1:] if isinstance(part, str)]
        return (name,) if kinds else (name, *places)
    return location


def _sentence(detail: Any, location: _Location, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in location) or "scenario"
    if detail["type"] == "extra_forbidden":
        siblings = _keys_at(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(siblings)}"
        return f"{name}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"{name}: missing; add it (hurwicz run --explain-schema says what it means)"
    if detail["type"] == "too_short":
        return f"{name}: expected at least {detail['ctx']['min_length']} of them; got {detail['ctx']['actual_length']}"
    text = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    came = "" if isinstance(detail["input"], dict) or "; got " in text else f"; got {detail['input']!r}"
    return f"{name}: expected {text}{came}" if text != detail["msg"] else f"{name}: {text}{came}"


def _keys_at(model: type[BaseModel], location: _Location) -> list[str]:
    """The keys that the schema knows in the table at ``location``."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = table_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)
