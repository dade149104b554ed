"""Second-order test at a stationary point, on the critical cone of the agents' active bounds.

The planner knows the Hessian of S. Of the agents' own curvature it knows what their answers tell: an agent held near x
by a weight rho and nudged by a small price along each of its coordinates answers with (C'' + rho)^-1 times the nudge where it is free,
and not at all where a bound holds it. Two rounds a coordinate of the widest agent show all agents' curvature and bounds at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, Status
from hurwicz.prices.dynamics.protocol import steepest_curvature
from hurwicz.prices.exchange import Exchange

IntArray = NDArray[np.int64]
# A symmetric matrix, as what it does to a vector.
Operator = Callable[[Float64[FloatArray, "dims"]], Float64[FloatArray, "dims"]]
_DENSE = 400
_FACES = 12


@dataclass(frozen=True)
class SecondOrder:
    """What the second-order test says.

    Attributes:
        status: local optimum, saddle, or stationary point where the test cannot tell.
        smallest: least curvature of the total loss found on the critical cone, per unit direction.
        direction: a feasible direction of negative curvature (flat) where ``status`` is saddle.
        free: coordinates that no bound holds.
        one_sided: coordinates that a bound holds on one side without pushing.
        note: one sentence.
    """

    status: Status
    smallest: float
    direction: Float64[FloatArray, "dims"] | None
    free: Int64[IntArray, "free"] = field(repr=False)
    one_sided: Int64[IntArray, "half"] = field(repr=False)
    note: str = ""


@dataclass
class _Revealed:
    """Own curvature (flat-to-flat), which coordinates are free, and which move to one side only (sign)."""

    blocks: list[tuple[Int64[IntArray, "width"], Float64[FloatArray, "width width"]]]
    free: Bool[NDArray[np.bool_], "dims"]
    side: Float64[FloatArray, "dims"]
    plain: bool


def reveal_curvature(exchange: Exchange, x: Float64[FloatArray, "dims"], weight: float, nudge: float = 1e-4) -> _Revealed:
    """Ask every agent how it answers small nudges around ``x``: 2 rounds a coordinate of the widest agent or member."""
    loss, price = exchange.loss, exchange.price(x)
    layout: list[IntArray] = []
    for name in loss.agents:
        where, members, width = loss.layout_of(name)
        layout.append(np.arange(where.start, where.stop).reshape(members, width))
    widest = max(index.shape[1] for index in layout)
    size = nudge * (1.0 + np.abs(x))
    moves = {}
    for column, sign in itertools.product(range(widest), (1.0, -1.0)):
        push = np.zeros_like(x)
        for index in layout:
            if column < index.shape[1]:
                push[index[:, column]] = sign * weight * size[index[:, column]]
        moves[column, sign] = (exchange.ask(price + push, anchor=x, weight=weight) - x) * sign
    free, side, plain = np.zeros(x.size, dtype=bool), np.zeros(x.size), True
    blocks = []
    for index in layout:
        width = index.shape[1]
        for member in index:
            forward = np.column_stack([moves[c, 1.0][member] / (weight * size[member[c]]) for c in range(width)])
            backward = np.column_stack([moves[c, -1.0][member] / (weight * size[member[c]]) for c in range(width)])
            ahead, back = np.diag(forward), np.diag(backward)
            # A bound within the nudge lets a little through on its side; a tenth of the other side's move is not free.
            up, down = ahead > np.maximum(1e-6 / weight, 0.1 * back), back > np.maximum(1e-6 / weight, 0.1 * ahead)
            free[member] = up & down
            side[member] = np.where(up & ~down, 1.0, np.where(down & ~up, -1.0, 0.0))
            inverse = np.where(up & down, 0.5 * (forward + backward), np.where(up, forward, backward))
            values, vectors = np.linalg.eigh(0.5 * (inverse + inverse.T))
            seen = values > 1e-6 / weight
            # A set that is not a box may hold a direction that is no coordinate: the test then covers the directions that move.
            plain = plain and (width == 1 or bool(seen.sum() == (up | down).sum()))
            own = (vectors[:, seen] * (1.0 / values[seen] - weight)) @ vectors[:, seen].T
            blocks.append((member, own))
    return _Revealed(blocks, free, side, plain)


def second_order_test(exchange: Exchange, x: Float64[FloatArray, "dims"], tol: float = 1e-6) -> SecondOrder:
    """Test the total loss's curvature at the stationary point ``x`` on the critical cone (theory: Nocedal and Wright 2006, theorem 12.6).

    The Hessian is projected on the free coordinates, its least eigenvalue found by Lanczos; coordinates at a bound that does
    not push are tested as half-lines, exactly up to 12 of them.
    """
    weight = max(steepest_curvature(exchange, x), 1e-6)
    revealed = reveal_curvature(exchange, x, weight)
    free, side = revealed.free, revealed.side
    half = np.flatnonzero(side).astype(np.int64)
    held_out = np.flatnonzero(free).astype(np.int64)

    def total(vector: FloatArray) -> FloatArray:
        out = exchange.bend(x, vector)
        for member, own in revealed.blocks:
            out[member] += own @ vector[member]
        return out

    scale = weight
    none = np.zeros(0, dtype=np.int64)
    if held_out.size == 0 and half.size == 0:
        return SecondOrder(
            Status.LOCAL_OPTIMUM, np.inf, None, none, none, "every coordinate is held by a bound that pushes: a strict vertex"
        )
    smallest, direction = np.inf, None
    if held_out.size:
        smallest, vector = _least(lambda part: total(_spread(part, held_out, x.size))[held_out], held_out.size)
        direction = _spread(vector, held_out, x.size)
        if smallest < -tol * scale:
            return SecondOrder(Status.SADDLE, smallest, direction, held_out, half, "the total loss falls along a free direction")
    if half.size:
        found = _half_lines(total, held_out, half, side, scale, tol)
        if found is None:
            note = f"{half.size} coordinates sit at bounds that do not push: too many half-lines to test exactly"
            return SecondOrder(Status.STATIONARY_POINT, smallest, None, held_out, half, note)
        least, vector = found
        if least < -tol * scale:
            return SecondOrder(Status.SADDLE, least, vector, held_out, half, "the total loss falls along a feasible half-line")
        smallest = min(smallest, least)
    if not revealed.plain:
        note = "an agent's set is curved or tilted here: directions along its boundary are tested, its own bending is not"
        return SecondOrder(Status.STATIONARY_POINT, smallest, None, held_out, half, note)
    if smallest > tol * scale:
        return SecondOrder(
            Status.LOCAL_OPTIMUM, smallest, None, held_out, half, "the total loss rises along every feasible critical direction"
        )
    return SecondOrder(
        Status.STATIONARY_POINT, smallest, None, held_out, half, "the total loss is flat to second order along some direction"
    )


def _spread(part: Float64[FloatArray, "part"], where: Int64[IntArray, "part"], size: int) -> Float64[FloatArray, "{size}"]:
    """``part`` at ``where`` and zeros elsewhere."""
    whole = np.zeros(size)
    whole[where] = part
    return whole


def _least(apply: Operator, size: int) -> tuple[float, Float64[FloatArray, "{size}"]]:
    """(least eigenvalue, its eigenvector) of a symmetric operator."""
    if size <= _DENSE:
        matrix = np.column_stack([apply(column) for column in np.eye(size)])
        values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        return float(values[0]), vectors[:, 0]
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=lambda v: apply(np.asarray(v).ravel()), dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    values, vectors = scipy.sparse.linalg.eigsh(operator, k=1, which="SA", v0=start, tol=1e-8, ncv=min(size - 1, 60), maxiter=20 * size)
    return float(values[0]), np.asarray(vectors[:, 0])


def _half_lines(
    total: Operator,
    free: Int64[IntArray, "free"],
    half: Int64[IntArray, "half"],
    side: Float64[FloatArray, "dims"],
    scale: float,
    tol: float,
) -> tuple[float, Float64[FloatArray, "dims"]] | None:
    """Least curvature over directions that move at least one half-line its allowed way; ``None``: too many to test.

    The free coordinates are minimised out (Schur complement); what remains must be copositive, which is tested on every face
    (Gaddum 1958): a face's least eigenvector with all entries positive and a negative eigenvalue is a witness.
    """
    if half.size > _FACES or free.size > _DENSE:
        return None
    columns = np.concatenate([free, half])
    matrix = np.column_stack([total(_spread(np.eye(columns.size)[k], columns, side.size))[columns] for k in range(columns.size)])
    matrix = 0.5 * (matrix + matrix.T)
    f = free.size
    inner = np.linalg.pinv(matrix[:f, :f], rcond=1e-10, hermitian=True) if f else np.zeros((0, 0))
    signs = side[half]
    schur = (matrix[f:, f:] - matrix[f:, :f] @ inner @ matrix[:f, f:]) * np.outer(signs, signs)
    least, witness = np.inf, np.zeros(half.size)
    for count in range(1, half.size + 1):
        for face in itertools.combinations(range(half.size), count):
            values, vectors = np.linalg.eigh(schur[np.ix_(face, face)])
            for value, vector in zip(values, vectors.T, strict=True):
                vector = vector if vector.sum() >= 0 else -vector
                if np.all(vector >= -1e-9) and value < least:
                    least, witness = float(value), np.zeros(half.size)
                    witness[list(face)] = np.maximum(vector, 0.0)
            if least < -tol * scale:
                break
    moved = signs * witness
    whole = np.concatenate([-inner @ matrix[:f, f:] @ moved, moved])
    return least, _spread(whole / max(float(np.linalg.norm(whole)), 1e-300), columns, side.size)
