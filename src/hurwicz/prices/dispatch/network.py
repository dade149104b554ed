"""The direct-current model of a power grid: who is connected to whom, and what each line can carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hurwicz._foundation import FloatArray, FormatError, InfeasibleError, InputError
from hurwicz.formats import MatpowerCase

IntArray = NDArray[np.int64]
NetworkForm = Literal["powermodels", "matpower"]

_JUMPER = 1e-3  # |r| in p.u. up to which a branch with x = 0 is taken for a deliberate jumper, beyond for a missing reactance
_CANCELLED = 1e-12  # of the largest susceptance: what lines between two buses sum to where they cancel
UNBOUNDED = 1e10
"""MW or MVA from which on a limit in a file means that there is none (as in MATPOWER)."""
_WIDEST_ANGLE = np.pi / 3  # what PowerModels puts where a file gives no angle limits


@dataclass(frozen=True)
class DcNetwork:
    """A grid in direct-current form: flow on line l = b_l (theta_f - theta_t - phi_l), everything in p.u. and radians.

    Balance at every bus: generation - demand = flows out - flows in. Each line's limits, in either form, bound the same angle difference,
    so the lines between one pair of buses become one row: ``pair_low <= theta_f - theta_t <= pair_high``.

    Attributes:
        form: ``"powermodels"`` or ``"matpower"``.
        base_mva: MVA of one p.u.
        buses: number of each bus.
        demand: load and shunts at each bus, p.u. (phase shifters' injections are in ``shift_injection``).
        load: the part of ``demand`` that is load.
        shift_injection: what the phase shifters draw from each bus, p.u.
        line_rows: row of the case's branch table of each line.
        line_from, line_to: bus index of each line's ends.
        susceptance, shift, rate: of each line; rate inf where there is none.
        angle_low, angle_high: limits on theta_f - theta_t of each line (infinite in MATPOWER's form).
        pair_of: pair index of each line; ``pair_sign`` -1 where the line runs against its pair.
        pair_from, pair_to, pair_low, pair_high: the rows.
        pair_low_line, pair_high_line: line that sets the limit.
        island: index of the connected part that each bus belongs to; ``reference`` the bus of each part whose angle is 0.
        unit_rows: row of the case's gen table of each unit; ``unit_bus`` its bus index; ``pmin, pmax`` in MW.
        units: name of each unit.
        notes: what a reader should know (jumpers without reactance, ...).
    """

    form: NetworkForm
    base_mva: float
    buses: Int64[IntArray, "buses"]
    demand: Float64[FloatArray, "buses"]
    load: Float64[FloatArray, "buses"]
    shift_injection: Float64[FloatArray, "buses"]
    line_rows: Int64[IntArray, "lines"]
    line_from: Int64[IntArray, "lines"]
    line_to: Int64[IntArray, "lines"]
    susceptance: Float64[FloatArray, "lines"]
    shift: Float64[FloatArray, "lines"]
    rate: Float64[FloatArray, "lines"]
    angle_low: Float64[FloatArray, "lines"]
    angle_high: Float64[FloatArray, "lines"]
    pair_of: Int64[IntArray, "lines"]
    pair_sign: Float64[FloatArray, "lines"]
    pair_from: Int64[IntArray, "pairs"]
    pair_to: Int64[IntArray, "pairs"]
    pair_low: Float64[FloatArray, "pairs"]
    pair_high: Float64[FloatArray, "pairs"]
    pair_low_line: Int64[IntArray, "pairs"]
    pair_high_line: Int64[IntArray, "pairs"]
    island: Int64[IntArray, "buses"]
    reference: Int64[IntArray, "islands"]
    unit_rows: Int64[IntArray, "units"]
    unit_bus: Int64[IntArray, "units"]
    pmin: Float64[FloatArray, "units"]
    pmax: Float64[FloatArray, "units"]
    units: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def withdrawal(self) -> Float64[FloatArray, "buses"]:
        """What each bus takes out of the network before any generation, p.u."""
        return self.demand + self.shift_injection

    @property
    def trading(self) -> Int64[IntArray, "trading"]:
        """Units with something to decide or to deliver: all but those held at 0 MW."""
        return np.flatnonzero((self.pmin < self.pmax) | (self.pmin != 0)).astype(np.int64)

    def laplacian(self) -> sparse.csc_matrix:
        """Bus susceptance matrix B: injections = B theta, up to ``shift_injection``."""
        n, f, t, b = len(self.buses), self.line_from, self.line_to, self.susceptance
        rows, columns = np.concatenate([f, t, f, t]), np.concatenate([f, t, t, f])
        return sparse.csc_matrix((np.concatenate([b, b, -b, -b]), (rows, columns)), shape=(n, n))

    def flows(self, theta: Float64[FloatArray, "buses"]) -> Float64[FloatArray, "lines"]:
        """Flow on each line, p.u., positive from its from-bus to its to-bus."""
        return self.susceptance * (theta[self.line_from] - theta[self.line_to] - self.shift)

    def line_name(self, line: int) -> str:
        """Name for people and results: ``"line 7: 4-5"`` (row of the branch table from 1, and its ends)."""
        ends = f"{self.buses[self.line_from[line]]}-{self.buses[self.line_to[line]]}"
        return f"line {self.line_rows[line] + 1}: {ends}"


def unit_names(case: MatpowerCase, rows: Sequence[int] | Int64[IntArray, "units"]) -> tuple[str, ...]:
    """Names of the units on the given rows of the gen table: the file's if it has distinct ones, else ``"gen 1 @ bus 10"`` (row from 1)."""
    names = case.gen_names
    if names and len(set(names)) == len(names) and all(names):
        return tuple(names[row] for row in rows)
    return tuple(f"gen {row + 1} @ bus {int(case.gen.bus[row])}" for row in rows)


def dc_network(case: MatpowerCase, form: str = "powermodels") -> DcNetwork:
    """The direct-current network of a case.

    ``"powermodels"``: b = x / (r² + x²), taps and phase shifts ignored, angle-difference limits enforced (PGLib's published figures).
    ``"matpower"``: b = 1 / (x · tap), phase shifts, no angle limits. Both: ratings A where positive, bus shunts Gs at 1 p.u., and nothing
    of what is out of service or at an isolated bus (type 4).

    Args:
        case: the grid.
        form: which of the two.

    Raises:
        InputError: unknown form, or a unit without finite limits.
        FormatError: a line in service whose reactance is zero (in the PowerModels form a jumper, |r| <= 0.001, is kept: it carries
        nothing). InfeasibleError: more load than capacity somewhere, or minimum outputs above the load; says how much and where.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> net = dc_network(packaged_case("case14_ieee"))
        >>> len(net.buses), len(net.line_from), len(net.units)
        (14, 20, 5)
    """
    if form not in get_args(NetworkForm):
        raise InputError(f"network: expected one of {', '.join(get_args(NetworkForm))}, got {form!r}")
    base = case.base_mva
    alive = np.flatnonzero(case.bus.kind != 4)
    if not len(alive):
        raise InputError("bus: expected at least one bus in service, got isolated ones only (type 4); set their types")
    numbers = case.bus.number[alive].astype(np.int64)
    order = np.argsort(numbers)

    def index(column: Float64[FloatArray, "rows"]) -> Int64[IntArray, "rows"]:
        """Position of each bus number; -1 for isolated ones."""
        at = np.minimum(np.searchsorted(numbers[order], column), len(order) - 1)
        found = order[at]
        return np.where(numbers[found] == column, found, -1).astype(np.int64)

    load, shunt = case.bus.pd[alive] / base, case.bus.gs[alive] / base
    branch = case.branch
    from_all, to_all = index(branch.f_bus), index(branch.t_bus)
    rows = np.flatnonzero((branch.status > 0) & (from_all >= 0) & (to_all >= 0))
    f, t = from_all[rows], to_all[rows]
    r, x = branch.r[rows], branch.x[rows]
    notes = _check_reactance(case, rows, r, x, form)
    with np.errstate(divide="ignore", invalid="ignore"):
        if form == "powermodels":
            b = np.where(x == 0, 0.0, x / (r**2 + x**2))
            shift = np.zeros(len(rows))
            low, high = _angle_limits(branch.angmin[rows], branch.angmax[rows])
        else:
            b = 1 / (x * np.where(branch.ratio[rows] == 0, 1.0, branch.ratio[rows]))
            shift = np.deg2rad(branch.shift[rows])
            low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    rating = branch.rate_a[rows] / base
    rate = np.where((rating > 0) & (rating * base < UNBOUNDED), rating, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(b == 0, np.inf, rate / np.abs(b))
    n = len(alive)
    linked = sparse.csr_matrix((b, (np.minimum(f, t), np.maximum(f, t))), shape=(n, n))
    linked.data[np.abs(linked.data) <= _CANCELLED * np.abs(b).max(initial=0.0)] = 0.0
    linked.eliminate_zeros()
    parts, island = connected_components(linked, directed=False)
    apart = island[f] != island[t]  # by lines that carry nothing: the angles on either side are free of one another
    angle_low, angle_high = np.where(apart, -np.inf, low), np.where(apart, np.inf, high)
    low, high = np.maximum(angle_low, shift - reach), np.minimum(angle_high, shift + reach)
    moved = np.zeros(n)
    np.add.at(moved, f, -b * shift)
    np.add.at(moved, t, b * shift)
    pairs = _pairs(f, t, low, high)
    unit_all = index(case.gen.bus)
    unit_rows = np.flatnonzero((case.gen.status > 0) & (unit_all >= 0))
    first = np.full(parts, n, dtype=np.int64)
    np.minimum.at(first, island, np.arange(n))
    network = DcNetwork(
        cast("NetworkForm", form),
        base,
        numbers,
        load + shunt,
        load,
        moved,
        rows.astype(np.int64),
        f,
        t,
        b,
        shift,
        rate,
        angle_low,
        angle_high,
        *pairs,
        island.astype(np.int64),
        first,
        unit_rows.astype(np.int64),
        unit_all[unit_rows],
        *_finite_limits(case, unit_rows, float((load + shunt).sum()) * base),
        unit_names(case, unit_rows),
        notes,
    )
    _check_capacity(network)
    return network


def _check_reactance(
    case: MatpowerCase, rows: Int64[IntArray, "lines"], r: Float64[FloatArray, "lines"], x: Float64[FloatArray, "lines"], form: str
) -> tuple[str, ...]:
    bad = x == 0
    jumpers = bad & (r != 0) & (np.abs(r) <= _JUMPER) & (form == "powermodels")
    for row in rows[bad & ~jumpers]:
        ends = f"{case.branch.f_bus[row]:.0f}-{case.branch.t_bus[row]:.0f}"
        other = (
            " (a jumper like this one can be kept with network = 'powermodels')"
            if abs(case.branch.r[row]) <= _JUMPER and form == "matpower"
            else ""
        )
        raise FormatError(
            f"branch {ends}: expected a reactance other than zero, got x = 0; give its reactance or take it out of service{other}",
            path=case.path or None,
            line=case.line("branch", int(row)),
        )
    names = [f"{case.branch.f_bus[row]:.0f}-{case.branch.t_bus[row]:.0f}" for row in rows[jumpers]]
    if not names:
        return ()
    return (f"no reactance, so no flow in this form (susceptance x/(r²+x²) = 0): branches {', '.join(names)}",)


def _angle_limits(
    low: Float64[FloatArray, "lines"], high: Float64[FloatArray, "lines"]
) -> tuple[Float64[FloatArray, "lines"], Float64[FloatArray, "lines"]]:
    """Angle-difference limits in radians; where a file gives none (0 and 0, or 90 degrees and more) PowerModels' 60 degrees."""
    none = (low == 0) & (high == 0)
    a = np.where(none | (low <= -90), -_WIDEST_ANGLE, np.deg2rad(low))
    b = np.where(none | (high >= 90), _WIDEST_ANGLE, np.deg2rad(high))
    return a, b


def _pairs(
    f: Int64[IntArray, "lines"], t: Int64[IntArray, "lines"], low: Float64[FloatArray, "lines"], high: Float64[FloatArray, "lines"]
) -> tuple[
    Int64[IntArray, "lines"],
    Float64[FloatArray, "lines"],
    Int64[IntArray, "pairs"],
    Int64[IntArray, "pairs"],
    Float64[FloatArray, "pairs"],
    Float64[FloatArray, "pairs"],
    Int64[IntArray, "pairs"],
    Int64[IntArray, "pairs"],
]:
    """Lines between the same two buses as one pair, with the tightest limits and the lines that set them."""
    small, large = np.minimum(f, t), np.maximum(f, t)
    sign = np.where(f < t, 1.0, -1.0)
    if len(f) == 0:
        none, empty = np.zeros(0), np.zeros(0, dtype=np.int64)
        return empty, none, empty, empty, none, none, empty, empty
    ends, of = np.unique(np.column_stack([small, large]), axis=0, return_inverse=True)
    of = of.reshape(-1)
    a = np.where(sign > 0, low, -high)
    b = np.where(sign > 0, high, -low)
    count = len(ends)
    pair_low, pair_high = np.full(count, -np.inf), np.full(count, np.inf)
    np.maximum.at(pair_low, of, a)
    np.minimum.at(pair_high, of, b)
    low_line, high_line = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    at = np.arange(len(f))[::-1]
    for line_of, limit, values in ((low_line, pair_low, a), (high_line, pair_high, b)):
        hits = at[values[at] == limit[of[at]]]
        line_of[of[hits]] = hits
    return of.astype(np.int64), sign, ends[:, 0], ends[:, 1], pair_low, pair_high, low_line, high_line


def _finite_limits(
    case: MatpowerCase, rows: Int64[IntArray, "units"], total: float
) -> tuple[Float64[FloatArray, "units"], Float64[FloatArray, "units"]]:
    """Pmin and Pmax of the units; an infinite one is replaced by the bound that the balance implies."""
    pmin, pmax = case.gen.pmin[rows].copy(), case.gen.pmax[rows].copy()
    if (endless := np.flatnonzero(pmin <= -UNBOUNDED)).size:
        row = int(rows[endless[0]])
        raise FormatError(
            f"generator {row + 1} at bus {case.gen.bus[row]:.0f}: expected a finite Pmin, got {case.gen.pmin[row]:g}; state it",
            path=case.path or None,
            line=case.line("gen", row),
        )
    spare = total - pmin.sum()  # all that a unit can have to give above its own Pmin
    pmax = np.where(pmax >= UNBOUNDED, np.maximum(pmin + spare, pmin), pmax)
    return pmin, pmax


def _check_capacity(net: DcNetwork) -> None:
    parts = int(net.island.max()) + 1 if len(net.island) else 0
    demand = np.bincount(net.island, net.demand, parts) * net.base_mva
    at = net.island[net.unit_bus]
    most, least = np.bincount(at, net.pmax, parts), np.bincount(at, net.pmin, parts)
    slack = 1e-6 * net.base_mva
    for part in range(parts):
        if least[part] - slack <= demand[part] <= most[part] + slack:
            continue
        members = np.flatnonzero(net.island == part)
        if parts == 1:
            where = "the grid"
        elif len(members) == 1:
            where = f"bus {net.buses[members[0]]}, which no line in service connects to the rest,"
        else:
            loaded = members[np.argmax(net.demand[members])]
            where = f"the island of {len(members)} buses around bus {net.buses[loaded]}"
        if demand[part] > most[part]:
            missing = demand[part] - most[part]
            raise InfeasibleError(
                f"{where} needs {demand[part]:.6g} MW and its generators can give {most[part]:.6g} MW: {missing:.6g} MW are missing; "
                "add capacity, shed load, or connect it"
            )
        raise InfeasibleError(
            f"{where} takes {demand[part]:.6g} MW and its generators give at least {least[part]:.6g} MW: "
            f"{least[part] - demand[part]:.6g} MW too much; switch units off or lower their Pmin"
        )
