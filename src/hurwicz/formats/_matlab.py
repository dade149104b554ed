"""Reads the matrices and scalars out of a MATLAB data file, without running it.

Only assignments of literals are understood: numbers, matrices of numbers, cells of strings. Anything that would have to be executed
and that touches a field we need is refused by the caller, never skipped in silence.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, FormatError

_ASSIGN = re.compile(r"^\s*(?:[A-Za-z]\w*\.)?([A-Za-z]\w*)\s*(\([^=]*\)|\{[^=]*\})?\s*=(?!=)\s*(.*)$")
_BLOCK = re.compile(r"^\s*(?:if|for|while|switch|try|parfor)\b")
_END = re.compile(r"^\s*end(?:if|for|while|function)?\b")
_FUNCTION = re.compile(r"^\s*function\b\s*(?:\[?[\w,\s]*\]?\s*=\s*)?(\w+)?")


@dataclass(frozen=True)
class Matrix:
    """A matrix of a data file: ``values`` as written, and the line of the file that each row stands on."""

    values: Float64[FloatArray, "rows columns"]
    lines: tuple[int, ...]
    line: int


@dataclass
class MatlabFile:
    """The literal assignments of a MATLAB data file.

    Attributes:
        name: the function's name ("" if there is none).
        matrices: field → matrix.
        scalars: field → (number or string, line).
        cells: field → (strings in order, line).
        changed: field → line of the first statement that would change it when run (``mpc.bus(:, 3) = ...``).
    """

    path: str
    name: str = ""
    matrices: dict[str, Matrix] = field(default_factory=dict)
    scalars: dict[str, tuple[float | str, int]] = field(default_factory=dict)
    cells: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)


def read_matlab(text: str, path: str) -> MatlabFile:
    """The literal assignments in ``text``.

    Raises:
        FormatError: a matrix that never closes (a file cut short), rows of unequal length, or an entry that is not a number.
    """
    parsed = MatlabFile(path)
    lines = _without_comments(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), path)
    at = depth = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
            continue
        if _BLOCK.match(line) and not re.search(r"[;,]\s*end\s*[;,]?\s*$", line):
            depth += 1
        elif depth and _END.match(line):
            depth -= 1
        if not parsed.name and (header := _FUNCTION.match(line)):
            parsed.name = header.group(1) or ""
            at += 1
            continue
        found = _ASSIGN.match(line)
        if found is None:
            at += 1
            continue
        name, index, value = found.groups()
        value = value.strip()
        if index is not None or depth:  # in a block: whether and how often it runs is for MATLAB to say
            parsed.changed.setdefault(name, at + 1)
            at += 1
        elif value.startswith(("[", "{")):
            at = _bracketed(parsed, name, lines, at, value)
        else:
            end = _closing(value, ";")
            _scalar(parsed, name, value if end < 0 else value[:end], at + 1)
            lines[at] = "" if end < 0 else value[end + 1 :]
    return parsed


def _without_comments(lines: list[str], path: str) -> list[str]:
    """The lines with comments blanked out and continued lines joined onto their first, so that line numbers stay true."""
    depth = 0
    opened = 0
    out = list(lines)
    for number, line in enumerate(lines):
        if "%" not in line and "#" not in line:
            if depth:
                out[number] = ""
            continue
        stripped = line.strip()
        if stripped in ("%{", "#{"):
            depth += 1
            opened = opened or number + 1
            out[number] = ""
        elif stripped in ("%}", "#}") and depth:
            depth -= 1
            opened = opened if depth else 0
            out[number] = ""
        elif depth:
            out[number] = ""
        else:
            out[number] = _cut_comment(line)
    if depth:
        raise FormatError("a block comment %{ opens here and never closes: the file is cut short; get it whole", path=path, line=opened)
    for number in range(len(out) - 1, -1, -1):
        body, dots, _ = out[number].partition("...")
        if dots:
            rest = out[number + 1] if number + 1 < len(out) else ""
            out[number] = f"{body} {rest}"
            if number + 1 < len(out):
                out[number + 1] = ""
    return out


def _cut_comment(line: str) -> str:
    """The line up to a ``%`` that is not inside a string; a quote after a word or a bracket is a transpose, not a string."""
    if "'" not in line and '"' not in line:
        return line.partition("%")[0]
    quote = ""
    before = " "
    for position, char in enumerate(line):
        if quote:
            if char == quote:
                quote = ""
        elif char == "%":
            return line[:position]
        elif char == '"' or (char == "'" and not (before.isalnum() or before in "_)]}.")):
            quote = char
        before = char
    return line


def _bracketed(parsed: MatlabFile, name: str, lines: list[str], at: int, value: str) -> int:
    """Read a matrix or a cell that opens on line ``at``; the line to go on at, cut to what follows the closing bracket."""
    closing = "]" if value[0] == "[" else "}"
    pieces: list[tuple[int, str]] = []
    start, piece = at, value[1:]
    while True:
        end = _closing(piece, closing)
        if end >= 0:
            pieces.append((at + 1, piece[:end]))
            break
        pieces.append((at + 1, piece))
        at += 1
        if at == len(lines):
            raise FormatError(
                f"{name!r} opens here and its {closing!r} never comes: the file is cut short; get it whole",
                path=parsed.path,
                line=start + 1,
            )
        piece = lines[at]
        if "=" in piece and "'" not in piece and (found := _ASSIGN.match(piece)) and found.group(3).strip()[:1] in ("[", "{"):
            raise FormatError(
                f"{name!r} opens at line {start + 1} and is not closed before {found.group(1)!r} begins; add the missing {closing!r}",
                path=parsed.path,
                line=at + 1,
            )
    rest = lines[at][len(lines[at]) - len(piece) + end + 1 :] if at > start else piece[end + 1 :]
    if closing == "}" or any("'" in part or '"' in part for _, part in pieces):
        parsed.cells[name] = (tuple(_strings("\n".join(part for _, part in pieces))), start + 1)
    else:
        parsed.matrices[name] = _matrix(name, pieces, parsed.path, start + 1)
    if rest.strip()[:1] not in ("", ";", ","):  # transposed, scaled, joined to another
        parsed.changed.setdefault(name, at + 1)
        return at + 1
    lines[at] = rest.strip().lstrip(";,")
    return at


def _closing(piece: str, closing: str) -> int:
    """Where ``closing`` comes first, strings skipped; -1 if it does not on this line."""
    if "'" not in piece and '"' not in piece:
        return piece.find(closing)
    quote = ""
    for position, char in enumerate(piece):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == closing:
            return position
    return -1


def _strings(body: str) -> list[str]:
    return [a.replace("''", "'") or b for a, b in re.findall(r"'((?:[^'\n]|'')*)'|\"([^\"\n]*)\"", body)]


def _matrix(name: str, pieces: list[tuple[int, str]], path: str, line: int) -> Matrix:
    rows: list[list[str]] = []
    at: list[int] = []
    for number, piece in pieces:
        for part in piece.split(";") if ";" in piece else (piece,):
            row = (part.replace(",", " ") if "," in part else part).split()
            if row:
                rows.append(row)
                at.append(number)
    width = len(rows[0]) if rows else 0
    flat: list[float] = []
    try:
        for row in rows:
            if len(row) != width:
                raise ValueError
            flat.extend(map(float, row))
    except ValueError:
        return _matrix_slowly(name, rows, at, path, line)
    return Matrix(np.array(flat, dtype=np.float64).reshape(len(rows), width), tuple(at), line)


def _matrix_slowly(name: str, rows: list[list[str]], at: list[int], path: str, line: int) -> Matrix:
    """The same with expressions in the entries, and with a message for the first row that is wrong."""
    values: list[list[float]] = []
    for row, number in zip(rows, at, strict=True):
        joined = re.sub(r"\s*([*/^])\s*", r"\1", " ".join(row))
        joined = re.sub(r"\s+([+-])\s+", r"\1", joined)
        values.append([_number(token, name, path, number) for token in joined.split()])
        if len(values[-1]) != len(values[0]):
            raise FormatError(
                f"{name!r}: expected {len(values[0])} columns as in its first row, got {len(values[-1])}; complete the row",
                path=path,
                line=number,
            )
    return Matrix(np.array(values, dtype=np.float64).reshape(len(values), -1), tuple(at), line)


_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_CONSTANTS = {"inf": math.inf, "nan": math.nan, "pi": math.pi, "eps": 2.0**-52}
_FUNCTIONS: dict[str, Callable[[float], float]] = {"sqrt": math.sqrt, "abs": abs}


def _number(token: str, name: str, path: str, line: int) -> float:
    try:
        return float(token)
    except ValueError:
        pass
    try:
        source = re.sub(r"(?<=[\d.])[dD](?=[+-]?\d)", "e", token).replace("^", "**")
        return float(_evaluate(ast.parse(source, mode="eval").body))
    except (ValueError, SyntaxError, TypeError, KeyError, ZeroDivisionError, OverflowError) as error:
        raise FormatError(f"{name!r}: expected a number, got {token!r}; write the number out", path=path, line=line) from error


def _evaluate(node: ast.expr) -> float:
    """Arithmetic on literals and nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        return _CONSTANTS[node.id.lower()]
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_evaluate(node.operand))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return _FUNCTIONS[node.func.id](_evaluate(node.args[0]))
    raise ValueError(ast.dump(node))


def _scalar(parsed: MatlabFile, name: str, value: str, line: int) -> None:
    value = value.rstrip("; \t")
    if value[:1] in "'\"" and len(value) > 1:
        parsed.scalars[name] = (value[1:-1], line)
        return
    try:
        parsed.scalars[name] = (_number(value.replace(" ", ""), name, parsed.path, line), line)
    except FormatError:
        parsed.changed.setdefault(name, line)


def read_text(path: str | Path) -> str:
    """The file as text: UTF-8, or Latin-1 where old files carry accents.

    Raises:
        FormatError: there is no such file, or it cannot be read.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise FormatError(f"cannot read the file ({reason}); check the path", path=path) from error
    if b"\x00" in raw[:4096]:
        raise FormatError("expected a MATLAB text file, got binary data; export the case as .m (MATPOWER: savecase)", path=path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
