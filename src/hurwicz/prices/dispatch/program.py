"""The network's quadratic program: least modelled cost of meeting demand within line limits, and its prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray
from scipy import sparse

from hurwicz._foundation import FloatArray, InfeasibleError, SolverError
from hurwicz.prices.dispatch.network import DcNetwork, IntArray

Segment = tuple[float, float, float, float]


@dataclass(frozen=True)
class Supply:
    """Modelled marginal costs, flattened: piece k of unit ``unit[k]`` spans ``width[k]`` MW, from ``start[k]`` to ``end[k]`` $/MWh."""

    base: Float64[FloatArray, "units"]
    unit: Int64[IntArray, "pieces"]
    width: Float64[FloatArray, "pieces"]
    start: Float64[FloatArray, "pieces"]
    end: Float64[FloatArray, "pieces"]


def supply_of(low: Float64[FloatArray, "units"], curves: Sequence[Sequence[Segment]]) -> Supply:
    """The curves of all units as one table; ``low`` is what each unit puts out at least, MW."""
    count = np.fromiter((len(pieces) for pieces in curves), dtype=np.int64, count=len(curves))
    flat = np.array([piece for pieces in curves for piece in pieces], dtype=np.float64).reshape(-1, 4)
    return Supply(low, np.repeat(np.arange(len(curves)), count), flat[:, 1] - flat[:, 0], flat[:, 2], flat[:, 3])


@dataclass(frozen=True)
class ProgramSolution:
    """An optimum of the program.

    Attributes:
        output: MW of each unit.
        price: $/MWh at each bus (NaN at a bus where nothing can be put in, taken out or carried).
        pair_flow_price: $/MWh per MW of relaxing the upper minus the lower limit of each pair.
        theta: bus angles, radians.
        lost, spilled: MW of load not served and of forced output thrown away at each bus.
        gap: primal minus dual objective of the program, $/h, relative to their size.
    """

    output: Float64[FloatArray, "units"]
    price: Float64[FloatArray, "buses"]
    pair_flow_price: Float64[FloatArray, "pairs"]
    theta: Float64[FloatArray, "buses"]
    lost: Float64[FloatArray, "buses"]
    spilled: Float64[FloatArray, "buses"]
    gap: float


class NetworkProgram:
    """Minimise modelled cost subject to F = beta (theta_f - theta_t), balance at every bus, limits on F and on every piece.

    One variable a pair of connected buses keeps the matrix well scaled where a bus-angle form alone mixes susceptances of 1 and 1e5.
    """

    def __init__(self, network: DcNetwork) -> None:
        self.network = network
        n, pairs = len(network.buses), len(network.pair_from)
        total = np.bincount(network.pair_of, network.susceptance, pairs)
        size = np.bincount(network.pair_of, np.abs(network.susceptance), pairs)
        plain = np.abs(total) > 1e-9 * size
        self.beta = np.where(plain & (size > 0), total, 1.0)
        carried = total / self.beta
        limits = np.sort(np.column_stack([self.beta * network.pair_low, self.beta * network.pair_high]), axis=1)
        self.flow_low, self.flow_high = limits[:, 0], limits[:, 1]
        across = np.arange(pairs)
        ends = (np.concatenate([across, across]), np.concatenate([network.pair_from, network.pair_to]))
        self.incidence = sparse.csc_matrix((np.concatenate([np.ones(pairs), -np.ones(pairs)]), ends), shape=(pairs, n))
        self.out = (sparse.diags(carried) @ self.incidence).T.tocsc()
        keep = np.ones(n, dtype=bool)
        keep[network.reference] = False
        self.free_angle = np.flatnonzero(keep)
        self.angle_rows = sparse.hstack([sparse.diags(1 / self.beta), -self.incidence[:, self.free_angle]], format="csc")
        self.has_low, self.has_high = np.isfinite(self.flow_low), np.isfinite(self.flow_high)

    def solve(
        self,
        supply: Supply,
        *,
        lost_value: float | None = None,
        lost_limit: Float64[FloatArray, "buses"] | None = None,
        spill_limit: Float64[FloatArray, "buses"] | None = None,
        pull: tuple[Float64[FloatArray, "units"], Float64[FloatArray, "units"]] | None = None,
    ) -> ProgramSolution:
        """The optimum for these curves.

        Args:
            supply: modelled marginal costs.
            lost_value: $/MWh of load not served or forced output spilled; None: neither is allowed.
            lost_limit: MW of load at each bus that may go unserved.
            spill_limit: MW of forced output at each bus that may be thrown away.
            pull: (centre, weight) of a proximal term weight/2 (x - centre)² for each unit, $/MWh per MW.

        Raises:
            InfeasibleError: no dispatch meets demand within the limits.
            SolverError: the interior-point method stalled on every setting.
        """
        net, base = self.network, self.network.base_mva
        n, pairs, angles = len(net.buses), len(self.beta), len(self.free_angle)
        pieces = len(supply.unit)
        slack_buses = np.zeros(0, dtype=np.int64)
        slack_sign, slack_width = np.zeros(0), np.zeros(0)
        if lost_value is not None and lost_limit is not None and spill_limit is not None:
            lost_at, spill_at = np.flatnonzero(lost_limit > 0), np.flatnonzero(spill_limit > 0)
            slack_buses = np.concatenate([lost_at, spill_at])
            slack_sign = np.concatenate([np.ones(len(lost_at)), -np.ones(len(spill_at))])
            slack_width = np.concatenate([lost_limit[lost_at], spill_limit[spill_at]])
        movers = pieces + len(slack_buses)
        at_bus = np.concatenate([net.unit_bus[supply.unit], slack_buses])
        put = sparse.csc_matrix((np.concatenate([np.ones(pieces), slack_sign]), (at_bus, np.arange(movers))), shape=(n, movers))
        width = np.concatenate([supply.width, slack_width]) / base
        slope = np.concatenate([(supply.end - supply.start) / np.maximum(supply.width, 1e-300), np.zeros(len(slack_buses))])
        level = np.concatenate([supply.start, np.full(len(slack_buses), lost_value or 0.0)])
        injected = np.bincount(net.unit_bus, supply.base, n) / base
        H: Any = sparse.diags(slope * base**2)
        q = level * base
        if pull is not None:
            centre, weight = pull
            gather = sparse.csc_matrix((np.ones(pieces), (supply.unit, np.arange(pieces))), shape=(len(net.unit_bus), movers))
            H = H + base**2 * (gather.T @ sparse.diags(weight) @ gather)
            q = q + base * (gather.T @ (weight * (supply.base - centre)))
        money = money_scale(np.concatenate([supply.start, level[pieces:]]), np.concatenate([supply.end, level[pieces:]])) * base
        zero_flow, zero_angle = sparse.csc_matrix((pairs, movers)), sparse.csc_matrix((n, angles))
        live = np.diff(sparse.hstack([put, self.out], format="csr").tocsr().indptr) > 0
        eye, flow_eye = sparse.identity(movers, format="csc"), sparse.identity(pairs, format="csc")
        A = sparse.bmat(
            [
                [put[live], -self.out[live], zero_angle[live]],
                [zero_flow, self.angle_rows[:, :pairs], self.angle_rows[:, pairs:]],
                [None, flow_eye[self.has_high], None],
                [None, -flow_eye[self.has_low], None],
                [eye, None, None],
                [-eye, None, None],
            ],
            format="csc",
        )
        withdrawal = net.withdrawal - injected
        if np.any(np.abs(withdrawal[~live]) > 1e-9):
            bus = net.buses[np.flatnonzero(~live & (np.abs(withdrawal) > 1e-9))[0]]
            raise InfeasibleError(f"bus {bus} has load and neither a line in service nor a generator; connect it or take its load off")
        limits = [self.flow_high[self.has_high], -self.flow_low[self.has_low], width, np.zeros(movers)]
        b = np.concatenate([withdrawal[live], np.zeros(pairs), *limits])
        equalities = int(live.sum()) + pairs
        P = sparse.block_diag([sparse.triu(H / money), sparse.csc_matrix((pairs + angles, pairs + angles))], format="csc")
        c = np.concatenate([q / money, np.zeros(pairs + angles)])
        x, z, gap = interior_point(sparse.csc_matrix(P), c, sparse.csc_matrix(A), b, equalities)
        return self._unpack(x, z * money / base, supply, slack_buses, slack_sign, live, movers, gap)

    def _unpack(
        self,
        x: Float64[FloatArray, "columns"],
        z: Float64[FloatArray, "rows"],
        supply: Supply,
        slack_buses: Int64[IntArray, "slacks"],
        slack_sign: Float64[FloatArray, "slacks"],
        live: Bool[NDArray[np.bool_], "buses"],
        movers: int,
        gap: float,
    ) -> ProgramSolution:
        net, base = self.network, self.network.base_mva
        n, pairs, pieces = len(net.buses), len(self.beta), len(supply.unit)
        moved = x[:movers] * base
        moved = np.maximum(moved, 0.0)
        moved[:pieces] = np.minimum(moved[:pieces], supply.width)
        output = supply.base + np.bincount(supply.unit, moved[:pieces], len(supply.base))
        price = np.full(n, np.nan)
        price[live] = -z[: live.sum()]
        at = int(live.sum()) + pairs
        flow_price = np.zeros(pairs)
        flow_price[self.has_high] += z[at : at + self.has_high.sum()]
        at += int(self.has_high.sum())
        flow_price[self.has_low] -= z[at : at + self.has_low.sum()]
        theta = np.zeros(n)
        theta[self.free_angle] = x[movers + pairs :]
        slack = moved[pieces:]
        lost, spilled = np.zeros(n), np.zeros(n)
        np.add.at(lost, slack_buses[slack_sign > 0], slack[slack_sign > 0])
        np.add.at(spilled, slack_buses[slack_sign < 0], slack[slack_sign < 0])
        return ProgramSolution(output, price, flow_price, theta, lost, spilled, gap)


def money_scale(start: Float64[FloatArray, "pieces"], end: Float64[FloatArray, "pieces"]) -> float:
    """Size of the marginal costs in play, $/MWh: the unit of money that keeps the solver's numbers near 1."""
    size = np.maximum(np.abs(start), np.abs(end))
    return float(np.median(size[size > 0])) if np.any(size > 0) else 1.0


def slack_limits(
    net: DcNetwork, put_in: Float64[FloatArray, "units"], taken_out: Float64[FloatArray, "units"]
) -> tuple[Float64[FloatArray, "buses"], Float64[FloatArray, "buses"]]:
    """MW at each bus that may go unserved and that may be thrown away.

    Args:
        net: the grid.
        put_in: MW that each unit puts in whatever happens (where positive).
        taken_out: MW that each unit puts in at most; where negative it takes out that much whatever happens.
    """
    n, base = len(net.buses), net.base_mva
    lost = np.maximum(net.demand, 0.0) * base + np.bincount(net.unit_bus, np.maximum(-taken_out, 0.0), n)
    spill = np.maximum(-net.demand, 0.0) * base + np.bincount(net.unit_bus, np.maximum(put_in, 0.0), n)
    return lost, spill


def why_infeasible(program: NetworkProgram, supply: Supply) -> str:
    """Why no dispatch exists although capacity suffices: least MW that the lines cannot bring, and where it is missing."""
    net = program.network
    lost, spill = slack_limits(net, net.pmin, net.pmax)
    free = Supply(supply.base, supply.unit, supply.width, np.zeros_like(supply.start), np.zeros_like(supply.end))
    try:
        best = program.solve(free, lost_value=1.0, lost_limit=lost, spill_limit=spill)
    except (InfeasibleError, SolverError):
        return (
            "no dispatch exists, even with every load off: line ratings, angle limits or phase shifts contradict one another; check them "
            "(another network form may differ)"
        )
    parts = []
    for amount, what in ((best.lost, "of load cannot be served"), (best.spilled, "of minimum output cannot be taken away")):
        at = np.argsort(-amount)
        at = at[amount[at] > 1e-6 * net.base_mva]
        if len(at):
            buses = ", ".join(str(net.buses[bus]) for bus in at[:5]) + (", ..." if len(at) > 5 else "")
            parts.append(f"{amount.sum():.6g} MW {what} (bus{'es' if len(at) > 1 else ''} {buses})")
    what = " and ".join(parts) or "the limits can only just not be met"
    return f"no dispatch meets demand within the line and angle limits: {what}; raise ratings there, move load or add capacity"


_LADDER: tuple[dict[str, float | int], ...] = (
    {"equilibrate_max_iter": 50, "equilibrate_min_scaling": 1e-6, "equilibrate_max_scaling": 1e6},
    {},
    {"equilibrate_max_iter": 50, "equilibrate_min_scaling": 1e-6, "equilibrate_max_scaling": 1e6, "static_regularization_constant": 1e-7},
    {"equilibrate_enable": False},
)
_TOLERANCE = 1e-12  # asked for; every digit of the gap is half a digit of the prices where costs are nearly flat
_GOOD = 1e-9  # residuals and gap at which no other setting is tried
_ACCEPTED = 1e-8  # residuals and gap that still count as solved where no setting reaches the tolerance


def _settings(extra: dict[str, float | int]) -> Any:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.presolve_enable = False
    settings.tol_gap_abs = settings.tol_gap_rel = _TOLERANCE
    settings.tol_feas = 1e-10
    for key, value in extra.items():
        setattr(settings, key, value)
    return settings


def interior_point(
    P: sparse.csc_matrix, q: Float64[FloatArray, "columns"], A: sparse.csc_matrix, b: Float64[FloatArray, "rows"], equalities: int
) -> tuple[Float64[FloatArray, "columns"], Float64[FloatArray, "rows"], float]:
    """Clarabel on min x'Px/2 + q'x, Ax + s = b, s = 0 then s >= 0; the primal, the dual and the relative gap."""
    import clarabel

    best: tuple[float, Any] | None = None
    status, infeasible = "", 0
    for extra in _LADDER:
        settings = _settings(extra)
        cones = [clarabel.ZeroConeT(equalities), clarabel.NonnegativeConeT(A.shape[0] - equalities)]
        try:
            solution = clarabel.DefaultSolver(P, q, A, b, cones, settings).solve()
        except Exception as error:  # a panic of the solver on one setting is no reason not to try the next
            status = repr(error)
            continue
        status = str(solution.status)
        if "PrimalInfeasible" in status:
            infeasible += 1
            if infeasible == 2:  # one setting alone may be misled by its own scaling
                raise InfeasibleError("no dispatch meets demand within the line limits")
            continue
        gap = abs(solution.obj_val - solution.obj_val_dual) / max(1.0, abs(solution.obj_val))
        worst = max(solution.r_prim, solution.r_dual, gap)
        if np.isfinite(worst) and (best is None or worst < best[0]):
            best = (worst, solution)
        if status == "Solved" or worst <= _GOOD:
            break
    if best is None or best[0] > _ACCEPTED:
        raise SolverError(
            f"the interior-point method stalled on the network program ({status}); check the case for extreme impedances or limits"
        )
    solution = best[1]
    return (
        np.array(solution.x),
        np.array(solution.z),
        float(abs(solution.obj_val - solution.obj_val_dual) / max(1.0, abs(solution.obj_val))),
    )
