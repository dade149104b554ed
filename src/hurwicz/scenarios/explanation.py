"""Every key that a scenario file may have, read off the schema itself."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hurwicz.scenarios.schema import KINDS, table_of


def explain_schema() -> list[dict[str, Any]]:
    """One row for each key of each kind of scenario.

    Returns:
        Rows with ``kind``, ``key`` (tables joined by dots), ``type``, ``default`` (``None`` where the key is required),
        ``required`` and ``meaning``.

    Example:
        >>> rows = {(row["kind"], row["key"]): row for row in explain_schema()}
        >>> rows["dispatch", "max_rounds"]["default"], rows["dispatch", "case"]["required"]
        (20, True)
    """
    return [row for kind, model in KINDS.items() for row in _rows(kind, model, prefix="")]


def _rows(kind: str, model: type[BaseModel], prefix: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, info in model.model_fields.items():
        inner = None if "list[" in str(info.annotation) else table_of(info.annotation)
        if inner is not None:
            rows += _rows(kind, inner, prefix=f"{prefix}{name}.")
            continue
        required = info.is_required()
        rows.append(
            {
                "kind": kind,
                "key": prefix + name,
                "type": _type(info),
                "default": None if required or info.default is PydanticUndefined else info.default,
                "required": required,
                "meaning": info.description or "",
            }
        )
    return rows


def _type(info: FieldInfo) -> str:
    return _type_words(info.annotation) + "".join(f" {bound}" for bound in _bounds(info.metadata))


def _type_words(annotation: Any) -> str:
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in words:
        return words[annotation]
    arguments = get_args(annotation)
    if arguments and all(isinstance(argument, str) for argument in arguments):
        return " | ".join(f'"{argument}"' for argument in arguments)
    if get_origin(annotation) is Annotated:
        bounds = [bound for part in arguments[1:] for bound in getattr(part, "metadata", [part])]
        return _type_words(arguments[0]) + "".join(f" {bound}" for bound in _bounds(bounds))
    if get_origin(annotation) is dict:
        return "table of its own keys"
    if get_origin(annotation) is list and (table := table_of(annotation)) is not None:
        return f"list of tables ({', '.join(table.model_fields)})"
    if get_origin(annotation) is list:
        return f"list of {_type_words(arguments[0])}"
    if get_origin(annotation) is tuple:
        return " and ".join(_type_words(argument) for argument in arguments)
    if arguments:
        return " or ".join(_type_words(argument) for argument in arguments if argument is not type(None))
    return str(annotation)


def _bounds(metadata: list[Any]) -> list[str]:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    return [f"{sign} {getattr(bound, name):g}" for bound in metadata for name, sign in signs.items() if hasattr(bound, name)]
