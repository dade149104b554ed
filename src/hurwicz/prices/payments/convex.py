"""Any smooth system loss and any smooth costs, minimised over boxes for batches of profiles (small numbers of agents)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, NotConvergedError, float64_array, float64_scope
from hurwicz.prices.payments.problems import Types, named_agents

_STEPS = 200


class ConvexProblem:
    """S(x) and C_i(x_i; theta_i) as JAX-traceable functions, x in a box; projected Newton, one profile a row.

    With ``convex=True`` a point is accepted only where the first-order conditions hold, and convexity makes it the global optimum; negative
    curvature found on the way is refused. With ``convex=False`` the search starts from every corner and the centre of the (bounded) box and
    keeps the best, and nothing certifies it: :meth:`loss_bound` is minus infinity.

    Args:
        system_loss: actions (agents,) or (agents, k) → scalar S.
        cost: (x_i, theta_i) → scalar; one for all agents or one each. Counted net of the opt-out's cost here.
        agents: names, or how many.
        low: least actions, broadcast to the actions' shape; may be -inf where ``convex``.
        high: greatest actions.
        opt_out: o, broadcast to the actions' shape; need not lie in the box.
        dims: k for vector actions; ``None`` for scalar ones.
        convex: whether L is convex on the box whatever the types.

    Raises:
        InputError: crossing bounds, or an unbounded box without convexity.

    Example:
        >>> import numpy as np
        >>> problem = ConvexProblem(lambda x: (x.sum() - 2.0) ** 2, lambda x, w: w * x**4, 2, low=0.0, high=3.0)
        >>> x = problem.solve([np.array([0.5]), np.array([0.5])])
        >>> bool(abs(2 * (2.0 - x.sum()) - 4 * 0.5 * x[0, 0] ** 3) < 1e-8)
        True
    """

    def __init__(
        self,
        system_loss: Callable[[Any], Any],
        cost: Callable[[Any, Any], Any] | Sequence[Callable[[Any, Any], Any]],
        agents: int | Sequence[str],
        *,
        low: ArrayLike,
        high: ArrayLike,
        opt_out: ArrayLike = 0.0,
        dims: int | None = None,
        convex: bool = True,
    ) -> None:
        self._agents = named_agents(agents)
        count = len(self._agents)
        self._shape: tuple[int, ...] = (count,) if dims is None else (count, dims)
        self._costs = [cost] * count if callable(cost) else list(cost)
        if len(self._costs) != count:
            raise InputError(f"ConvexProblem: expected one cost or {count} of them, got {len(self._costs)}")
        self._loss = system_loss
        self.convex = convex

        def spread(value: ArrayLike, name: str, *, finite: bool = False) -> Float64[FloatArray, "agents *action"]:
            return np.broadcast_to(float64_array(value, name, finite=finite), self._shape).astype(np.float64)

        self.low, self.high = spread(low, "low"), spread(high, "high")
        self._opt_out = spread(opt_out, "opt_out", finite=True)
        if bool(np.any(~(self.low <= self.high))):
            raise InputError(f"ConvexProblem: expected low <= high, got low={self.low.tolist()}, high={self.high.tolist()}")
        if not convex and not bool(np.all(np.isfinite(self.low) & np.isfinite(self.high))):
            raise InputError("ConvexProblem: expected finite bounds where convex=False; the search starts from their corners")
        self._accuracy = 0.0
        self._compiled: dict[str, Any] = {}

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self._agents

    @property
    def opt_out(self) -> Float64[FloatArray, "agents *action"]:
        """o, in the actions' shape."""
        return self._opt_out

    @property
    def accuracy(self) -> float:
        """Largest estimated error of the least loss over the solves so far (half the squared Newton decrement)."""
        return self._accuracy

    def system_loss(self, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch"]:
        """S."""
        return self._call("loss", self._loss, actions)

    def price(self, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents *action"]:
        """-dS/dx."""
        import jax

        return -self._call("price", jax.grad(self._loss), actions)

    def cost(
        self, agent: int, actions: Float64[FloatArray, "batch *action"], types: Shaped[NDArray[Any], "batch *type"]
    ) -> Float64[FloatArray, "batch"]:
        """C_i net of its value at the opt-out."""
        cost = self._costs[agent]
        out = self._opt_out[agent]
        return self._call(f"cost {agent}", lambda x, w: cost(x, w) - cost(out, w), actions, types)

    def solve(self, types: Types) -> Float64[FloatArray, "batch agents *action"]:
        """x*."""
        batch = len(types[0])
        return self._minimise(types, np.zeros((batch, *self._shape)), np.zeros(self._shape, dtype=bool))

    def solve_holding(
        self, agent: int, held: Float64[FloatArray, "batch *action"], types: Types
    ) -> Float64[FloatArray, "batch agents *action"]:
        """The others re-optimise while ``agent`` does ``held``."""
        fixed = np.zeros((len(held), *self._shape))
        fixed[:, agent] = held
        mask = np.zeros(self._shape, dtype=bool)
        mask[agent] = True
        return self._minimise(types, fixed, mask)

    def kinks(
        self, agent: int, start: Float64[FloatArray, "batch *action"], stop: Float64[FloatArray, "batch *action"], types: Types
    ) -> Float64[FloatArray, "batch kinks"]:
        """Not known in advance: none; the integral finds them by halving."""
        del agent, stop, types
        return np.zeros((len(start), 0))

    def loss_bound(self, actions: Float64[FloatArray, "batch agents *action"], types: Types) -> Float64[FloatArray, "batch"]:
        """Convexity: L* >= L(x) + min over the box of grad L · (x' - x); minus infinity without convexity or with an unbounded side."""
        batch = len(actions)
        if not self.convex:
            return np.full(batch, -np.inf)
        import jax

        value = self._call("total", self._total, actions, *types)
        slope = self._call("slope", jax.grad(self._total), actions, *types)
        with np.errstate(invalid="ignore"):
            worst = np.minimum(slope * (self.low - actions), slope * (self.high - actions))
        return np.asarray(value + np.where(slope == 0.0, 0.0, worst).reshape(batch, -1).sum(axis=1), dtype=np.float64)

    def _total(self, actions: Any, *types: Any) -> Any:
        total = self._loss(actions)
        for i, (cost, theta) in enumerate(zip(self._costs, types, strict=True)):
            total = total + cost(actions[i], theta) - cost(self._opt_out[i], theta)
        return total

    def _call(
        self, key: str, function: Callable[..., Any], *batched: Shaped[NDArray[Any], "batch ..."]
    ) -> Float64[FloatArray, "batch ..."]:
        import jax

        if key not in self._compiled:
            self._compiled[key] = jax.jit(jax.vmap(function))
        batch = len(batched[0])
        padded = [_pad(np.asarray(b, dtype=np.float64)) for b in batched]
        with float64_scope():
            return np.asarray(self._compiled[key](*padded), dtype=np.float64)[:batch]

    def _minimise(
        self, types: Types, held: Float64[FloatArray, "batch agents *action"], mask: Bool[NDArray[np.bool_], "agents *action"]
    ) -> Float64[FloatArray, "batch agents *action"]:
        batch = len(held)
        best: FloatArray | None = None
        best_loss: FloatArray = np.full(batch, np.inf)
        worst_error, worst_slope, curvature = 0.0, 0.0, 0.0
        for start in self._starts():
            first = np.where(mask, held, np.broadcast_to(start, held.shape))
            x, loss, decrement, slope, least = self._newton(types, first, mask)
            worst_error, worst_slope = max(worst_error, float(decrement.max())), max(worst_slope, float(slope.max()))
            curvature = min(curvature, float(least.min()))
            better = loss < best_loss
            best = x if best is None else np.where(better.reshape(-1, *([1] * (x.ndim - 1))), x, best)
            best_loss = np.minimum(best_loss, loss)
        assert best is not None
        if self.convex and curvature < -1e-8:
            raise InputError(
                f"ConvexProblem: expected a convex loss, found curvature {curvature:.3g} on the way; pass convex=False with finite bounds"
            )
        if worst_slope > 1e-6:
            raise NotConvergedError(
                f"ConvexProblem: projected gradient {worst_slope:.3g} after {_STEPS} Newton steps; smooth the loss or tighten the bounds",
                reached=best,
            )
        self._accuracy = max(self._accuracy, worst_error)
        return best

    def _starts(self) -> list[Float64[FloatArray, "agents *action"]]:
        low, high = np.maximum(self.low, -1e3), np.minimum(self.high, 1e3)
        centre = np.where(np.isfinite(self.low) & np.isfinite(self.high), 0.5 * (low + high), np.clip(0.0, low, high))
        if self.convex:
            return [centre]
        size = int(np.prod(self._shape))
        if size > 8:
            rng = np.random.default_rng(0)
            return [centre, self.low, self.high, *(rng.uniform(self.low, self.high) for _ in range(64))]
        corners = [np.where(np.reshape(c, self._shape), self.high, self.low) for c in itertools.product((False, True), repeat=size)]
        return [centre, *corners, *(centre + 0.5 * (c - centre) for c in corners)]

    def _newton(
        self, types: Types, start: Float64[FloatArray, "batch agents *action"], mask: Bool[NDArray[np.bool_], "agents *action"]
    ) -> tuple[
        Float64[FloatArray, "batch agents *action"],
        Float64[FloatArray, "batch"],
        Float64[FloatArray, "batch"],
        Float64[FloatArray, "batch"],
        Float64[FloatArray, "batch"],
    ]:
        import jax

        if "newton" not in self._compiled:
            self._compiled["newton"] = jax.jit(jax.vmap(self._one_newton, in_axes=(0, None, 0)))
        batch = len(start)
        with float64_scope():
            padded = tuple(_pad(np.asarray(t, dtype=np.float64)) for t in types)
            out = self._compiled["newton"](_pad(start), mask.astype(np.float64), padded)
            x, loss, decrement, slope, least = (np.asarray(o, dtype=np.float64)[:batch] for o in out)
        return x, loss, decrement, slope, least

    def _one_newton(self, start: Any, mask: Any, types: Any) -> Any:
        import jax
        import jax.numpy as jnp

        shape = self._shape
        low, high = jnp.asarray(self.low).ravel(), jnp.asarray(self.high).ravel()
        fixed = mask.ravel() > 0.5

        def f(z: Any) -> Any:
            return self._total(z.reshape(shape), *types)

        def clip(z: Any, origin: Any) -> Any:
            return jnp.where(fixed, origin, jnp.clip(z, low, high))

        def look(z: Any) -> Any:
            g = jax.grad(f)(z)
            closed = fixed | ((z <= low) & (g >= 0.0)) | ((z >= high) & (g <= 0.0))
            free = (~closed).astype(g.dtype)
            H = jax.hessian(f)(z) * free[:, None] * free[None, :]
            values, vectors = jnp.linalg.eigh(H)
            size = jnp.max(jnp.abs(values))
            safe = jnp.maximum(jnp.abs(values), 1e-12 * (1.0 + size))
            step = -(vectors @ ((vectors.T @ (g * free)) / safe)) * free
            least = jnp.min(jnp.where(jnp.abs(values) <= 1e-9 * (1.0 + size), 0.0, values))
            return g * free, step, least

        def body(state: Any) -> Any:
            z, _, k, _, least = state
            g, step, here = look(z)
            value = f(z)

            def shorter(t: Any) -> Any:
                moved = clip(z + t * step, z)
                return (f(moved) > value + 1e-4 * jnp.dot(g, moved - z) + 1e-15 * jnp.abs(value)) & (t > 1e-14)

            t = jax.lax.while_loop(shorter, lambda t: 0.5 * t, jnp.ones_like(value))
            moved = clip(z + t * step, z)
            return moved, z, k + 1, jnp.max(jnp.abs(g)), jnp.minimum(least, here)

        def going(state: Any) -> Any:
            z, before, k, slope, _ = state
            moving = jnp.max(jnp.abs(z - before)) > 1e-15 * (1.0 + jnp.max(jnp.abs(z)))
            return (k < _STEPS) & ((k < 2) | ((slope > 1e-13) & moving))

        z0 = clip(start.ravel(), start.ravel())
        z, _, _, _, least = jax.lax.while_loop(going, body, (z0, z0, 0, jnp.inf * jnp.ones(()), jnp.zeros(())))
        g, step, _ = look(z)
        return z.reshape(shape), f(z), -0.5 * jnp.dot(g, step), jnp.max(jnp.abs(g)), least


def _pad(batched: Shaped[NDArray[Any], "batch *rest"]) -> Shaped[NDArray[Any], "padded *rest"]:
    # batches are padded to powers of two, so that few shapes are compiled
    size = 1 << max(0, (len(batched) - 1)).bit_length()
    return batched if size == len(batched) else np.concatenate([batched, np.repeat(batched[-1:], size - len(batched), axis=0)])
