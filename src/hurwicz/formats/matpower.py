"""MATPOWER cases: power grids as ``.m`` files, read and written whole.

Source: R. D. Zimmerman, C. E. Murillo-Sánchez and R. J. Thomas, "MATPOWER: Steady-State Operations, Planning, and Analysis Tools for Power
Systems Research and Education", IEEE Transactions on Power Systems 26(1), 2011; MATPOWER User's Manual, appendix B (case format, versions
1 and 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, FormatError
from hurwicz.formats._matlab import MatlabFile, read_matlab, read_text


@dataclass(frozen=True)
class BusTable:
    """One row a bus. ``kind``: 1 load, 2 generator, 3 reference, 4 isolated. Powers in MW and MVAr, voltages in p.u. and degrees."""

    number: Float64[FloatArray, "buses"]
    kind: Float64[FloatArray, "buses"]
    pd: Float64[FloatArray, "buses"]
    qd: Float64[FloatArray, "buses"]
    gs: Float64[FloatArray, "buses"]
    bs: Float64[FloatArray, "buses"]
    area: Float64[FloatArray, "buses"]
    vm: Float64[FloatArray, "buses"]
    va: Float64[FloatArray, "buses"]
    base_kv: Float64[FloatArray, "buses"]
    zone: Float64[FloatArray, "buses"]
    vmax: Float64[FloatArray, "buses"]
    vmin: Float64[FloatArray, "buses"]


@dataclass(frozen=True)
class GenTable:
    """One row a generator. ``status`` > 0 means in service. Powers in MW and MVAr."""

    bus: Float64[FloatArray, "generators"]
    pg: Float64[FloatArray, "generators"]
    qg: Float64[FloatArray, "generators"]
    qmax: Float64[FloatArray, "generators"]
    qmin: Float64[FloatArray, "generators"]
    vg: Float64[FloatArray, "generators"]
    mbase: Float64[FloatArray, "generators"]
    status: Float64[FloatArray, "generators"]
    pmax: Float64[FloatArray, "generators"]
    pmin: Float64[FloatArray, "generators"]


@dataclass(frozen=True)
class BranchTable:
    """One row a line or transformer. ``r, x, b`` in p.u., ratings in MVA (0: none), ``ratio`` 0 for a line, angles in degrees."""

    f_bus: Float64[FloatArray, "lines"]
    t_bus: Float64[FloatArray, "lines"]
    r: Float64[FloatArray, "lines"]
    x: Float64[FloatArray, "lines"]
    b: Float64[FloatArray, "lines"]
    rate_a: Float64[FloatArray, "lines"]
    rate_b: Float64[FloatArray, "lines"]
    rate_c: Float64[FloatArray, "lines"]
    ratio: Float64[FloatArray, "lines"]
    shift: Float64[FloatArray, "lines"]
    status: Float64[FloatArray, "lines"]
    angmin: Float64[FloatArray, "lines"]
    angmax: Float64[FloatArray, "lines"]


@dataclass(frozen=True)
class GenCostTable:
    """Cost of active power, one row a generator, in the order of :class:`GenTable`.

    ``model`` 2: polynomial, ``data`` holds c(n-1) ... c0 in $/h over MW; ``model`` 1: piecewise linear, ``data`` holds MW, $/h pairs.
    Rows shorter than the longest are filled with zeros on the right; ``ncost`` counts coefficients or points.
    """

    model: Float64[FloatArray, "generators"]
    startup: Float64[FloatArray, "generators"]
    shutdown: Float64[FloatArray, "generators"]
    ncost: Float64[FloatArray, "generators"]
    data: Float64[FloatArray, "generators columns"]


@dataclass(frozen=True)
class MatpowerCase:
    """A power grid as a MATPOWER file gives it.

    Attributes:
        name: the name in the file's ``function`` line.
        base_mva: MVA of one p.u.
        bus, gen, branch, gencost: the tables; every column a float64 vector.
        bus_names: as in ``mpc.bus_name``, or empty.
        gen_names: as in ``mpc.gen_name``, or empty.
        other: further numeric matrices of the file, kept as they are (areas, dcline, ...).
        path: where it was read from ("" if it was not).
        rows: table → line of the file of each row, for messages.
    """

    name: str
    base_mva: float
    bus: BusTable
    gen: GenTable
    branch: BranchTable
    gencost: GenCostTable
    bus_names: tuple[str, ...] = ()
    gen_names: tuple[str, ...] = ()
    other: Mapping[str, Float64[FloatArray, "_ _"]] = field(default_factory=dict)
    path: str = ""
    rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)

    def line(self, table: str, row: int) -> int | None:
        """Line of the file on which row ``row`` of ``table`` stands (None if the case was not read from a file)."""
        lines = self.rows.get(table, ())
        return lines[row] if row < len(lines) else None


_WIDTH = {"bus": 13, "gen": 10, "branch": 11}
_MAIN = ("baseMVA", "bus", "gen", "branch", "gencost")
_MAY_BE_INFINITE = frozenset({"qmax", "qmin", "pmax", "pmin", "rate_a", "rate_b", "rate_c", "angmin", "angmax", "vmax"})


def read_matpower(path: str | Path) -> MatpowerCase:
    """The case in a MATPOWER or PGLib ``.m`` file, checked.

    Args:
        path: the file; format version 1 or 2.

    Returns:
        The case. Costs of reactive power (a second half of ``gencost``) and result columns are left out.

    Raises:
        FormatError: the file is cut short, a table is missing or has a wrong number of columns, an entry is not a number, a bus is
            numbered twice or unknown, or the file would have to be executed to know its data. The message carries file and line.

    Example:
        >>> from hurwicz.formats import packaged_path
        >>> case = read_matpower(packaged_path("case14_ieee"))
        >>> len(case.bus.number), len(case.gen.bus), float(case.bus.pd.sum())
        (14, 5, 259.0)
    """
    return parse_matpower(read_text(path), path=str(path))


def parse_matpower(text: str, *, path: str = "") -> MatpowerCase:
    """The case in the text of a ``.m`` file; ``path`` is used in messages. See :func:`read_matpower`.

    Raises:
        FormatError: see :func:`read_matpower`.

    Example:
        >>> from hurwicz.formats import packaged_path
        >>> case = parse_matpower(packaged_path("case14_ieee").read_text())
        >>> case.base_mva, len(case.bus.number), len(case.gen.bus)
        (100.0, 14, 5)
    """
    parsed = read_matlab(text, path)
    for name in _MAIN:
        if name in parsed.changed:
            raise FormatError(
                f"{name!r} is computed by code here, which is not executed; load the case in MATPOWER and export it with savecase",
                path=path,
                line=parsed.changed[name],
            )
    base = parsed.scalars.get("baseMVA")
    if base is None or isinstance(base[0], str):
        raise FormatError("expected a number 'baseMVA', found none: not a MATPOWER case, or cut short; get the file whole", path=path)
    if not (0 < base[0] < np.inf):
        raise FormatError(f"'baseMVA': expected a positive number of MVA, got {base[0]}", path=path, line=base[1])
    for name in _MAIN[1:]:
        if name not in parsed.matrices:
            hint = (
                "dispatch needs costs; add a gencost table"
                if name == "gencost"
                else "the file is cut short or no MATPOWER case; get it whole"
            )
            raise FormatError(f"expected a matrix {name!r}, found none: {hint}", path=path)
    bus = _table(BusTable, "bus", parsed)
    gen = _table(GenTable, "gen", parsed)
    branch = _table(BranchTable, "branch", parsed)
    rows = {name: parsed.matrices[name].lines for name in _MAIN[1:]}
    _check_buses(bus, gen, branch, rows, path)
    gencost = _gencost(parsed, len(gen.bus))
    names = {name: _names(parsed, name, count) for name, count in (("bus_name", len(bus.number)), ("gen_name", len(gen.bus)))}
    other = {name: matrix.values for name, matrix in parsed.matrices.items() if name not in _MAIN}
    return MatpowerCase(parsed.name, float(base[0]), bus, gen, branch, gencost, names["bus_name"], names["gen_name"], other, path, rows)


_T = TypeVar("_T", BusTable, GenTable, BranchTable)


def _table(kind: type[_T], name: str, parsed: MatlabFile) -> _T:
    matrix = parsed.matrices[name]
    values, path = matrix.values, parsed.path
    if not len(values) and name == "bus":
        raise FormatError("'bus' is empty; expected at least one bus", path=path, line=matrix.line)
    columns = [column.name for column in fields(kind)]
    if len(values) and values.shape[1] < _WIDTH[name]:
        raise FormatError(
            f"{name!r}: expected at least {_WIDTH[name]} columns ({', '.join(columns[: _WIDTH[name]])}), "
            f"got {values.shape[1]}; complete the rows",
            path=path,
            line=matrix.lines[0],
        )
    full = np.zeros((len(values), len(columns)))
    if name == "branch":
        full[:, 11:] = (-360.0, 360.0)
    width = min(values.shape[1], len(columns)) if len(values) else 0
    full[:, :width] = values[:, :width]
    if not np.isfinite(full).all():
        for row, column in np.argwhere(~np.isfinite(full)):
            if np.isnan(full[row, column]) or columns[column] not in _MAY_BE_INFINITE:
                raise FormatError(
                    f"{name!r}: expected a finite number in column {columns[column]!r}, got {full[row, column]}; replace it",
                    path=path,
                    line=matrix.lines[row],
                )
    return kind(*(np.ascontiguousarray(full[:, k]) for k in range(len(columns))))


def _check_buses(bus: BusTable, gen: GenTable, branch: BranchTable, rows: Mapping[str, tuple[int, ...]], path: str) -> None:
    numbers = bus.number
    wrong = np.flatnonzero((numbers != np.round(numbers)) | (numbers < 1))
    if len(wrong):
        raise FormatError(f"'bus': expected a positive whole bus number, got {numbers[wrong[0]]:g}", path=path, line=rows["bus"][wrong[0]])
    order = np.argsort(numbers, kind="stable")
    twice = order[1:][np.diff(numbers[order]) == 0]
    if len(twice):
        row = int(twice.min())
        raise FormatError(f"'bus': bus {numbers[row]:.0f} is listed twice; number every bus once", path=path, line=rows["bus"][row])
    kinds = np.flatnonzero(~np.isin(bus.kind, (1.0, 2.0, 3.0, 4.0)))
    if len(kinds):
        row = int(kinds[0])
        raise FormatError(
            f"'bus': expected type 1, 2, 3 or 4 for bus {numbers[row]:.0f}, got {bus.kind[row]:g}", path=path, line=rows["bus"][row]
        )
    for table, name, column in (("gen", "bus", gen.bus), ("branch", "from bus", branch.f_bus), ("branch", "to bus", branch.t_bus)):
        unknown = np.flatnonzero(~np.isin(column, numbers))
        if len(unknown):
            row = int(unknown[0])
            raise FormatError(
                f"{table!r}: {name} {column[row]:g} is not in the bus table; add it or correct it", path=path, line=rows[table][row]
            )
    for row in np.flatnonzero((branch.f_bus == branch.t_bus) & (branch.status > 0)).tolist():
        raise FormatError(f"'branch': both ends are bus {branch.f_bus[row]:.0f}; connect two buses", path=path, line=rows["branch"][row])
    for row in np.flatnonzero((gen.pmin > gen.pmax) & (gen.status > 0)).tolist():
        raise FormatError(
            f"'gen': Pmin {gen.pmin[row]:g} MW is above Pmax {gen.pmax[row]:g} MW; correct one of them", path=path, line=rows["gen"][row]
        )


def _gencost(parsed: MatlabFile, units: int) -> GenCostTable:
    matrix, path = parsed.matrices["gencost"], parsed.path
    values, lines = matrix.values, matrix.lines
    if len(values) not in (units, 2 * units):
        raise FormatError(
            f"'gencost': expected {units} rows (one a generator) or {2 * units} (reactive power too), got {len(values)}",
            path=path,
            line=matrix.line,
        )
    values = values[:units]
    if units == 0:
        none = np.zeros(0)
        return GenCostTable(none, none, none, none, np.zeros((0, 0)))
    if values.shape[1] < 5:
        raise FormatError(f"'gencost': expected at least 5 columns, got {values.shape[1]}; complete the rows", path=path, line=lines[0])
    for row, entry in enumerate(values):
        _check_cost(entry, path, lines[row])
    model, startup, shutdown, ncost = (np.ascontiguousarray(values[:, k]) for k in range(4))
    return GenCostTable(model, startup, shutdown, ncost, np.ascontiguousarray(values[:, 4:]))


def _check_cost(entry: Float64[FloatArray, "columns"], path: str, line: int) -> None:
    model, count = entry[0], entry[3]
    if model not in (1.0, 2.0):
        raise FormatError(f"'gencost': expected model 1 (piecewise linear) or 2 (polynomial), got {model:g}", path=path, line=line)
    needed = 2 * count if model == 1 else count
    if count != round(count) or count < (2 if model == 1 else 0) or needed > len(entry) - 4:
        held = int((len(entry) - 4) // (2 if model == 1 else 1))
        what = "points (at least 2)" if model == 1 else "coefficients"
        raise FormatError(f"'gencost': the row says {count:g} {what} and has room for {held}; correct NCOST", path=path, line=line)
    used = entry[4 : 4 + int(needed)]
    if not np.isfinite(used).all():
        raise FormatError(f"'gencost': expected finite numbers, got {used[~np.isfinite(used)][0]}; replace it", path=path, line=line)
    if model == 1 and np.any(np.diff(used[::2]) <= 0):
        raise FormatError("'gencost': the MW of a piecewise-linear cost must rise from point to point; reorder them", path=path, line=line)


def _names(parsed: MatlabFile, name: str, count: int) -> tuple[str, ...]:
    names, line = parsed.cells.get(name, ((), 0))
    if names and len(names) != count:
        raise FormatError(f"{name!r}: expected {count} names, got {len(names)}; name every row or none", path=parsed.path, line=line)
    return names


def write_matpower(case: MatpowerCase) -> str:
    """The case as the text of a version 2 ``.m`` file; reading it back gives the same numbers to the last bit.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> case = packaged_case("case14_ieee")
        >>> again = parse_matpower(write_matpower(case))
        >>> bool((again.branch.x == case.branch.x).all())
        True
    """
    out = [f"function mpc = {case.name or 'case'}", "mpc.version = '2';", f"mpc.baseMVA = {case.base_mva!r};"]
    for name, table in (("bus", case.bus), ("gen", case.gen), ("branch", case.branch)):
        columns = [column.name for column in fields(table)]
        out.append(_written(name, np.column_stack([getattr(table, column) for column in columns]), columns))
    cost = case.gencost
    head = np.column_stack([cost.model, cost.startup, cost.shutdown, cost.ncost])
    out.append(_written("gencost", np.hstack([head, cost.data]), ["model", "startup", "shutdown", "ncost", "data..."]))
    out.extend(_written(name, values, []) for name, values in case.other.items())
    for name, names in (("bus_name", case.bus_names), ("gen_name", case.gen_names)):
        if names:
            quoted = "\n".join("\t'" + text.replace("'", "''") + "';" for text in names)
            out.append(f"mpc.{name} = {{\n{quoted}\n}};")
    return "\n".join(out) + "\n"


def _written(name: str, values: Float64[FloatArray, "rows columns"], columns: list[str]) -> str:
    rows = "\n".join("\t" + "\t".join(_literal(float(value)) for value in row) + ";" for row in values)
    return f"\n%\t{' '.join(columns)}\nmpc.{name} = [\n{rows}\n];"


def _literal(value: float) -> str:
    if np.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 and not (value == 0 and np.signbit(value)) else repr(value)
