"""The best response to an offer: argmin over X of C(x; theta) - p x + w/2 |x - a|².

Closed form where the cost family has one on the set; one-dimensional costs by Newton inside a shrinking bracket;
several dimensions by projected Newton (Bertsekas 1982) on boxes and accelerated projected gradient elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from hurwicz._foundation import FloatArray, InputError, SolverError, float64_scope
from hurwicz.prices.sets import ActionSet, Ball, Box, Projection, Simplex
from hurwicz.valuations import CostFamily, Quadratic
from hurwicz.valuations.numbers import Numbers, numbers

# numpy turns arrays without axes into scalars on the way, hence Any inside.
Elementwise = Callable[[Any], Any]
_MEMBERS = 8192


def simplex_response(slope: Numbers, push: Numbers, total: float) -> Float64[FloatArray, "... dims"]:
    """Formula: argmin of sum_k slope_k/2 x_k² - push_k x_k over the simplex, slope > 0, batched on leading axes.

    x_k = max((push_k - nu) / slope_k, 0), nu from the sorted breakpoints push_k.
    """
    slope, push = np.broadcast_arrays(slope, push)
    order = np.argsort(-push, axis=-1)
    ordered = np.take_along_axis(push, order, axis=-1)
    inverse = 1.0 / np.take_along_axis(slope, order, axis=-1)
    levels = (np.cumsum(ordered * inverse, axis=-1) - total) / np.cumsum(inverse, axis=-1)
    kept = (ordered > levels).sum(axis=-1, keepdims=True)
    nu = np.take_along_axis(levels, kept - 1, axis=-1)
    return np.asarray(np.maximum((push - nu) / slope, 0.0))


def quadratic_response(
    family: Quadratic,
    theta: Float64[FloatArray, "..."],
    actions: ActionSet,
    price: Float64[FloatArray, "*action"],
    weight: Float64[FloatArray, "*#action"],
    anchor: Float64[FloatArray, "*action"],
) -> Float64[FloatArray, "*action"] | None:
    """Closed form of a quadratic on a simplex, and on a ball or another projection where the curvature is the same in every direction."""
    slope = family.curvature(np.zeros_like(price), theta) + weight
    if not np.all(slope > 0):
        return None
    push = price - family.gradient(np.zeros_like(price), theta) + weight * anchor
    if isinstance(actions, Simplex):
        return simplex_response(slope, push, actions.total)
    if isinstance(actions, Ball) and (slope.ndim == 0 or np.all(slope == slope[..., :1])):
        return np.asarray(actions.project(push / slope))
    if isinstance(actions, Projection) and np.all(slope == slope.flat[0]) and slope.ndim <= 1:
        return np.asarray(actions.project(push / slope))
    return None


def interval_newton(
    gradient: Elementwise, curvature: Elementwise, lower: Numbers, upper: Numbers, start: Numbers
) -> Float64[FloatArray, "..."]:
    """Root of an increasing ``gradient`` on [lower, upper] elementwise, the nearer end where there is none.

    Newton's step where it stays inside the bracket and shrinks it fast enough, the middle otherwise; infinite ends are
    found by doubling. Every element runs at once.

    Raises:
        SolverError: the gradient keeps its sign for ever (the offer is unbounded) or is not finite.
    """
    x = np.asarray(np.clip(start, lower, upper))
    low, high = np.broadcast_to(lower, x.shape).copy(), np.broadcast_to(upper, x.shape).copy()
    reach = np.maximum(np.abs(x), 1.0)
    for side, sign in ((low, -1.0), (high, 1.0)):
        for _ in range(200):
            endless = np.isinf(side)
            if not endless.any():
                break
            probe = np.where(endless, x + sign * reach, side)
            beyond = sign * gradient(probe) >= 0
            side[endless & beyond] = probe[endless & beyond]
            reach = np.where(endless & ~beyond, 4.0 * reach, reach)
        else:
            raise SolverError("no finite best response: the offer is unbounded on the agent's set; bound the set or offer a weight > 0")
        reach = np.maximum(np.abs(x), 1.0)
    # Where a bound is the answer, it is exactly so: no bracket creeps up to it.
    at_ends = gradient(low), gradient(high)
    at_low, at_high = at_ends[0] >= 0, at_ends[1] <= 0
    scale = np.max([np.where(np.isfinite(end), np.abs(end), 0.0) for end in at_ends], axis=0)
    high = np.where(at_low, low, high)
    low = np.where(at_high & ~at_low, high, low)
    x = np.clip(x, low, high)
    before, settled = np.full(x.shape, np.inf), np.zeros(x.shape, dtype=bool)

    for _ in range(200):
        slope = gradient(x)
        if not np.all(np.isfinite(slope)):
            raise SolverError("the cost's gradient is not finite inside the agent's set; check the cost and its type")
        high = np.where(slope > 0, x, high)
        low = np.where(slope < 0, x, low)
        bend = curvature(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - slope / bend
        # The middle of the bracket where Newton leaves it or does not at least halve its last step.
        trusted = (bend > 0) & (newton >= low) & (newton <= high) & (np.abs(newton - x) <= 0.5 * before)
        # Where the curvature is infinite (x^1.5 at 0), Newton stands still though the slope is large.
        tiny = 4e-16 * np.maximum(np.abs(x), 1e-3)
        trusted &= (np.abs(newton - x) > tiny) | (np.abs(slope) <= 1e-10 * scale)
        settled |= (slope == 0) | (high <= low)
        step = np.where(settled, x, np.where(trusted, newton, 0.5 * (low + high)))
        before = np.abs(step - x)
        x = step
        # Below a few units in the last place Newton's steps are noise, which no longer halves.
        settled |= before <= 5.0 * tiny
        if np.all(settled):
            break
    return np.asarray(x)


@functools.lru_cache(maxsize=256)
def compiled_cost(cost: Callable[..., Any], batched: bool, takes_inputs: bool) -> dict[str, Callable[..., Any]]:
    """Jitted value, gradient and diagonal curvature of a JAX cost, shared by all agents that use the same function."""
    import jax

    def single(x: Any, theta: Any, inputs: Any) -> Any:
        return cost(x, theta, inputs) if takes_inputs else cost(x, theta)

    def curvature(x: Any, theta: Any, inputs: Any) -> Any:
        return jax.grad(lambda y: jax.grad(single)(y, theta, inputs).sum())(x)

    axes = (0, 0, None)
    pieces = {"value": single, "gradient": jax.grad(single), "curvature": curvature}
    return {name: jax.jit(jax.vmap(piece, axes) if batched else piece) for name, piece in pieces.items()}


@functools.lru_cache(maxsize=256)
def compiled_search(
    cost: Callable[..., Any], project: Callable[[Any], Any] | None, batched: bool, takes_inputs: bool
) -> Callable[..., tuple[Any, Any]]:
    """Jitted several-dimensional best response: projected Newton on [lower, upper], or accelerated projected gradient with ``project``."""
    import jax

    def single(price: Any, weight: Any, anchor: Any, theta: Any, inputs: Any, lower: Any, upper: Any) -> tuple[Any, Any]:
        shape = price.shape

        def loss(flat: Any) -> Any:
            x = flat.reshape(shape)
            own = cost(x, theta, inputs) if takes_inputs else cost(x, theta)
            return own - (price * x).sum() + 0.5 * (weight * (x - anchor) ** 2).sum()

        if project is None:
            flat, residual = _projected_newton(loss, anchor.ravel(), lower.ravel(), upper.ravel())
        else:
            flat, residual = _accelerated_projection(loss, anchor.ravel(), lambda z: project(z.reshape(shape)).ravel())
        return flat.reshape(shape), residual

    return jax.jit(jax.vmap(single, (0, 0, 0, 0, None, 0, 0)) if batched else single)


def _projected_newton(
    loss: Callable[[Any], Any], start: Float[Any, "dims"], lower: Float[Any, "dims"], upper: Float[Any, "dims"]
) -> tuple[Float[Any, "dims"], Float[Any, ""]]:
    import jax
    import jax.numpy as jnp

    slope, hessian = jax.grad(loss), jax.hessian(loss)

    def residual(x: Any) -> Any:
        return jnp.max(jnp.abs(x - jnp.clip(x - slope(x), lower, upper)))

    def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        x, count, _ = state
        g = slope(x)
        held = ((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0))
        free = ~held
        matrix = jnp.where(free[:, None] & free[None, :], hessian(x), jnp.diag(jnp.ones_like(x)))
        values, vectors = jnp.linalg.eigh(matrix)
        # |eigenvalue| keeps a descent direction where a cost is not convex everywhere.
        size = jnp.maximum(jnp.abs(values), 1e-10 * jnp.maximum(1.0, jnp.max(jnp.abs(values))))
        move = vectors @ ((vectors.T @ jnp.where(free, g, 0.0)) / size)
        base = loss(x)

        def shorter(trial: tuple[Any, Any]) -> tuple[Any, Any]:
            return trial[0] * 0.5, trial[1] + 1

        def refused(trial: tuple[Any, Any]) -> Any:
            y = jnp.clip(x - trial[0] * move, lower, upper)
            return (loss(y) > base - 1e-4 * (g * (x - y)).sum() + 1e-15 * jnp.abs(base)) & (trial[1] < 40)

        length, _ = jax.lax.while_loop(refused, shorter, (jnp.asarray(1.0, x.dtype), 0))
        y = jnp.clip(x - length * move, lower, upper)
        return y, count + 1, jnp.all(y == x)

    def going(state: tuple[Any, Any, Any]) -> Any:
        x, count, stuck = state
        return (residual(x) > 1e-13 * (1.0 + jnp.max(jnp.abs(x)))) & (count < 100) & ~stuck

    x, _, _ = jax.lax.while_loop(going, step, (jnp.clip(start, lower, upper), 0, jnp.asarray(False)))
    return x, residual(x)


def _accelerated_projection(
    loss: Callable[[Any], Any], start: Float[Any, "dims"], project: Callable[[Any], Any]
) -> tuple[Float[Any, "dims"], Float[Any, ""]]:
    import jax
    import jax.numpy as jnp

    slope, hessian = jax.grad(loss), jax.hessian(loss)
    origin = project(start)

    def steepness(x: Any) -> Any:
        return jnp.maximum(jnp.max(jnp.abs(jnp.linalg.eigvalsh(hessian(x)))), 1e-12)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, before, momentum, bend, count, _ = state
        following = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * momentum**2))
        ahead = x + (momentum - 1.0) / following * (x - before)
        g = slope(ahead)

        def refused(bend: Any) -> Any:
            y = project(ahead - g / bend)
            gap = y - ahead
            return loss(y) > loss(ahead) + (g * gap).sum() + 0.5 * bend * (gap**2).sum() + 1e-14 * jnp.abs(loss(ahead))

        bend = jax.lax.while_loop(refused, lambda b: 2.0 * b, bend)
        y = project(ahead - g / bend)
        # O'Donoghue and Candes (2015): restart the momentum when it points uphill.
        following = jnp.where(((ahead - y) * (y - x)).sum() > 0, 1.0, following)
        return y, x, following, bend, count + 1, jnp.max(jnp.abs(y - project(y - slope(y))))

    def going(state: tuple[Any, ...]) -> Any:
        return (state[5] > 1e-13 * (1.0 + jnp.max(jnp.abs(state[0])))) & (state[4] < 20000)

    one = jnp.asarray(1.0, start.dtype)
    state = (origin, origin, one, steepness(origin), 0, jnp.asarray(jnp.inf, start.dtype))
    state = jax.lax.while_loop(going, step, state)
    return state[0], state[5]


def respond_in_closed_form(
    cost: Any,
    theta: Any,
    actions: ActionSet,
    price: Float64[FloatArray, "*action"],
    weight: Float64[FloatArray, "*#action"],
    anchor: Float64[FloatArray, "*action"],
) -> Float64[FloatArray, "*action"] | None:
    """The closed form of a cost family on this set, or ``None``."""
    if not isinstance(cost, CostFamily):
        return None
    interval = actions.interval()
    if interval is not None:
        return cost.interval_response(price, weight, anchor, theta, *interval)
    if isinstance(cost, Quadratic):
        return quadratic_response(cost, theta, actions, price, weight, anchor)
    return None


def respond_by_search(
    cost: Any,
    theta: Any,
    actions: ActionSet,
    price: Float64[FloatArray, "*action"],
    weight: Float64[FloatArray, "*#action"],
    anchor: Float64[FloatArray, "*action"],
    inputs: Any,
    *,
    batched: bool,
    takes_inputs: bool,
) -> Float64[FloatArray, "*action"]:
    """The best response by an iterative method; raises ``SolverError`` where none is found."""
    interval = actions.interval()
    member_dimensions = price.ndim - int(batched)
    if interval is not None and batched and isinstance(cost, CostFamily) and len(price) > _MEMBERS:
        # Each group stays in the processor's cache, and stops when its own members are done.
        ends = [np.broadcast_to(end, price.shape) for end in interval]
        weight, answer = np.broadcast_to(weight, price.shape), np.empty_like(price)
        for first in range(0, len(price), _MEMBERS):
            part = slice(first, first + _MEMBERS)
            box = Box(ends[0][part], ends[1][part])
            answer[part] = respond_by_search(
                cost, theta[part], box, price[part], weight[part], anchor[part], inputs, batched=True, takes_inputs=takes_inputs
            )
        return answer
    if interval is not None and (isinstance(cost, CostFamily) or member_dimensions == 0):
        gradient, curvature = derivatives(cost, theta, inputs, batched=batched, takes_inputs=takes_inputs)
        return interval_newton(
            lambda x: gradient(x) - price + weight * (x - anchor), lambda x: curvature(x) + weight, interval[0], interval[1], anchor
        )
    with float64_scope():
        search = compiled_search(cost, None if interval is not None else actions.project, batched, takes_inputs)
        low, high = (np.broadcast_to(end, price.shape) for end in (interval or (np.asarray(-np.inf), np.asarray(np.inf))))
        x, residual = search(price, np.broadcast_to(weight, price.shape), anchor, theta, inputs, low, high)
    answer = np.asarray(x, dtype=np.float64)
    worst = float(np.max(residual))
    if not worst <= 1e-6 * (1.0 + float(np.max(np.abs(answer), initial=0.0))):
        raise SolverError(
            f"no best response found: fixed-point residual {worst:.2g} after the search; bound its set, offer a weight > 0, or check "
            "that the cost is convex there",
            reached=answer,
        )
    return answer


def derivatives(cost: Any, theta: Any, inputs: Any, *, batched: bool, takes_inputs: bool) -> tuple[Elementwise, Elementwise]:
    """(gradient, diagonal curvature) of x ↦ C(x; theta), numpy in and out."""
    if isinstance(cost, CostFamily):
        return lambda x: np.asarray(cost.gradient(x, theta), dtype=np.float64), lambda x: np.asarray(
            cost.curvature(x, theta), dtype=np.float64
        )
    pieces = compiled_cost(cost, batched, takes_inputs)

    def call(piece: str) -> Elementwise:
        def evaluate(x: Any) -> FloatArray:
            with float64_scope():
                return np.asarray(pieces[piece](x, theta, inputs), dtype=np.float64)

        return evaluate

    return call("gradient"), call("curvature")


def check_offer(
    name: str, shape: tuple[int, ...], offer: Any
) -> tuple[Float64[FloatArray, "*action"], Float64[FloatArray, "*#action"], Float64[FloatArray, "*action"]]:
    """(price, weight, anchor) of an offer as arrays of the action's shape, or one clear error."""
    price = numbers(offer.price, f"price offered to {name!r}", shape=shape)
    weight = numbers(offer.weight, f"weight offered to {name!r}")
    if np.any(weight < 0):
        raise InputError(f"weight offered to {name!r}: expected >= 0, got {weight.min():g}")
    if offer.anchor is None:
        if offer.step is not None or np.any(weight > 0):
            raise InputError(f"offer to {name!r}: a weight or a step needs an anchor, and none came")
        anchor = np.zeros(shape)
    else:
        anchor = numbers(offer.anchor, f"anchor offered to {name!r}", shape=shape)
    if offer.step is not None and not (np.isfinite(offer.step) and offer.step > 0):
        raise InputError(f"step offered to {name!r}: expected a positive number, got {offer.step!r}")
    return price, weight, anchor
