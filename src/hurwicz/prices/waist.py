"""The narrowest aggregate of a system loss: S(x) = f(A x + b) with as few rows of A as a minimum cut allows.

The loss is traced to JAX primitives. A value is affine in the actions when every primitive on its way is linear in what
depends on them: a proof by structure, not a test at sample points. A minimum vertex cut between actions and loss over
affine values, each weighing its number of entries, is the waist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope

_LINEAR_IN_ALL = frozenset({"add", "add_any", "sub", "concatenate", "stack"})
# Sums, and what only moves or repeats entries: neither degree nor sign nor bend changes.
MOVING = frozenset(
    [
        "reduce_sum",
        "cumsum",
        "reshape",
        "broadcast_in_dim",
        "squeeze",
        "expand_dims",
        "transpose",
        "slice",
        "dynamic_slice",
        "gather",
        "rev",
        "copy",
        "convert_element_type",
        "name",
        "optimization_barrier",
    ]
)
_LINEAR_IN_FIRST = MOVING | {"neg", "real", "reduce_window_sum"}
_BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})


class FlatProgram:
    """A JAX function as one flat list of primitives; nested calls are written out."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        import jax
        from jax.extend import core

        closed = jax.make_jaxpr(function)(*arguments)
        self._literal = core.Literal
        self.inputs: list[Any] = list(closed.jaxpr.invars)
        self.constants: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        self.equations: list[tuple[Any, list[Any], list[Any]]] = []
        self.outputs = self._write_out(closed.jaxpr, {})

    def _write_out(self, jaxpr: Any, renamed: dict[Any, Any]) -> list[Any]:
        def read(atom: Any) -> Any:
            return atom if isinstance(atom, self._literal) else renamed.get(atom, atom)

        for equation in jaxpr.eqns:
            inner = next((equation.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in equation.params), None)
            called = equation.primitive.name in (
                "jit",
                "pjit",
                "closed_call",
                "core_call",
                "custom_jvp_call",
                "custom_vjp_call",
                "remat2",
                "checkpoint",
            )
            operands = [read(atom) for atom in equation.invars]
            if inner is None or not called:
                # A sub-program may be called twice, so every value gets a fresh key.
                fresh = [_Value(var.aval) for var in equation.outvars]
                renamed.update(zip(equation.outvars, fresh, strict=True))
                self.equations.append((equation, operands, fresh))
                continue
            body = getattr(inner, "jaxpr", inner)
            inside: dict[Any, Any] = dict(zip(body.invars, operands, strict=True))
            constants = getattr(inner, "consts", ())
            for var, constant in zip(body.constvars, constants, strict=True):
                inside[var] = _Value(var.aval)
                self.constants[inside[var]] = constant
            renamed.update(zip(equation.outvars, self._write_out(body, inside), strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def is_literal(self, atom: Any) -> bool:
        """True for a number written into the program."""
        return isinstance(atom, self._literal)

    def dependents(self, atoms: Sequence[Any]) -> set[Any]:
        """Every value that depends on one of ``atoms``, they included."""
        reached = set(atoms)
        for _, operands, results in self.equations:
            if any(not self.is_literal(atom) and atom in reached for atom in operands):
                reached.update(results)
        return reached

    def run(self, known: dict[Any, Any], wanted: Sequence[Any]) -> list[Any]:
        """Values of ``wanted`` given ``known``; computes only what lies between them (traceable)."""
        values = {**self.constants, **known}
        needed = {atom for atom in wanted if not self.is_literal(atom)} - set(known)
        plan = []
        for equation, operands, results in reversed(self.equations):
            if any(result in needed and result not in known for result in results):
                plan.append((equation, operands, results))
                needed.update(atom for atom in operands if not self.is_literal(atom) and atom not in known)

        def read(atom: Any) -> Any:
            return atom.val if self.is_literal(atom) else values[atom]

        for equation, operands, results in reversed(plan):
            bound = equation.primitive.get_bind_params(equation.params)
            # Older JAX hands the sub-functions apart, as leading operands.
            leading, parameters = bound if isinstance(bound, tuple) else ((), bound)
            out = equation.primitive.bind(*leading, *(read(atom) for atom in operands), **parameters)
            outs = out if equation.primitive.multiple_results else [out]
            values.update((key, value) for key, value in zip(results, outs, strict=True) if key not in known)
        return [read(atom) for atom in wanted]


class _Value:
    """A key for one intermediate value."""

    __slots__ = ("aval",)

    def __init__(self, aval: Any) -> None:
        self.aval = aval


class Waist:
    """S(x) = f(A x + b), with d = ``dimension`` rows.

    Attributes:
        dimension: d.
        matrix: A, shape (d, n).
        offset: b, shape (d,).
    """

    def __init__(self, program: FlatProgram, action: Any, parameters: list[Any], cut: list[Any], size: int, terms: Any) -> None:
        import jax
        import jax.numpy as jnp

        self._terms = terms
        shapes = [tuple(atom.aval.shape) for atom in cut]
        counts = [int(np.prod(shape, dtype=int)) for shape in shapes]
        ends = np.cumsum([0, *counts])
        self.dimension = int(ends[-1])

        def known(terms: Any) -> dict[Any, Any]:
            return dict(zip(parameters, jax.tree.leaves(terms), strict=True))

        def narrow(flat: Any, terms: Any) -> Any:
            parts = program.run({**known(terms), action: flat}, cut)
            return jnp.concatenate([jnp.ravel(part) for part in parts]).astype(jnp.float64)

        def loss(y: Any, terms: Any) -> Any:
            parts = {atom: y[ends[k] : ends[k + 1]].reshape(shapes[k]) for k, atom in enumerate(cut)}
            return program.run({**known(terms), **parts}, program.outputs)[0]

        def lines(terms: Any) -> tuple[Any, Any]:
            # d pulls of a linear map, not n pushes: the waist is narrow.
            offset, pull = jax.vjp(lambda flat: narrow(flat, terms), jnp.zeros(size))
            return jax.vmap(lambda row: pull(row)[0])(jnp.eye(self.dimension)), offset

        self.loss = loss
        self._lines = jax.jit(lines)
        self._seen: tuple[Any, FloatArray, FloatArray] | None = None
        self.matrix, self.offset = self.at(terms)
        self._value_and_slope = jax.jit(jax.value_and_grad(loss))
        self._hessian = jax.jit(jax.hessian(loss))

    def at(self, terms: Any) -> tuple[Float64[FloatArray, "rows dims"], Float64[FloatArray, "rows"]]:
        """(A, b) under these data, multipliers and penalty; the last answer is kept."""
        if self._seen is None or self._seen[0] is not terms:
            with float64_scope():
                matrix, offset = self._lines(terms)
            self._seen = (terms, np.asarray(matrix, dtype=np.float64), np.asarray(offset, dtype=np.float64))
        return self._seen[1], self._seen[2]

    def value_and_gradient(self, y: Float64[FloatArray, "rows"], terms: Any = None) -> tuple[float, Float64[FloatArray, "rows"]]:
        """(f(y), grad f(y))."""
        with float64_scope():
            value, slope = self._value_and_slope(y, self._terms if terms is None else terms)
            return float(value), np.asarray(slope, dtype=np.float64)

    def value(self, y: Float64[FloatArray, "rows"], terms: Any = None) -> float:
        """f(y)."""
        return self.value_and_gradient(y, terms)[0]

    def gradient(self, y: Float64[FloatArray, "rows"], terms: Any = None) -> Float64[FloatArray, "rows"]:
        """Formula: grad f(y), shape (d,): minus the aggregate's price."""
        return self.value_and_gradient(y, terms)[1]

    def hessian(self, y: Float64[FloatArray, "rows"], terms: Any = None) -> Float64[FloatArray, "rows rows"]:
        """The Hessian of f, shape (d, d)."""
        with float64_scope():
            return np.asarray(self._hessian(y, self._terms if terms is None else terms), dtype=np.float64)


def affine_values(program: FlatProgram, action: Any) -> tuple[set[Any], set[Any]]:
    """(values that depend on the actions, those among them that are affine in the actions)."""
    depends = program.dependents([action])
    affine = {action}
    for equation, operands, results in program.equations:
        moving = [k for k, atom in enumerate(operands) if not program.is_literal(atom) and atom in depends]
        if not moving or any(operands[k] not in affine for k in moving):
            continue
        name = equation.primitive.name
        linear = (
            name in _LINEAR_IN_ALL
            or (name in _LINEAR_IN_FIRST and moving == [0])
            or (name in _BILINEAR and len(moving) == 1)
            or (name == "div" and moving == [0])
            or (
                name in ("pad", "scatter-add", "scatter_add", "dynamic_update_slice")
                and set(moving) <= {0, 1, 2} - ({1} if "scatter" in name else {2})
            )
            or (name == "select_n" and 0 not in moving)
            or (name == "integer_pow" and equation.params["y"] == 1)
        )
        if linear:
            affine.update(results)
    return depends, affine


def find_waist(loss: Callable[..., Any], size: int, terms: Any) -> Waist | None:
    """The narrowest affine aggregate of ``loss(flat, terms)``, or ``None`` where it is as wide as the actions."""
    import networkx as nx

    program = FlatProgram(loss, np.zeros(size), terms)
    action, parameters = program.inputs[0], program.inputs[1:]
    depends, affine = affine_values(program, action)
    end = program.outputs[0]
    if program.is_literal(end) or end not in depends:
        return None
    keys = {atom: index for index, atom in enumerate(depends)}
    network = nx.DiGraph()
    for atom, index in keys.items():
        width = int(np.prod(atom.aval.shape, dtype=int))
        # An affine loss is its own waist: the end is a candidate too.
        network.add_edge((index, "in"), (index, "out"), **({"capacity": width} if atom in affine else {}))
    for _, operands, results in program.equations:
        for atom in operands:
            if not program.is_literal(atom) and atom in depends:
                for result in results:
                    network.add_edge((keys[atom], "out"), (keys[result], "in"))
    if (keys[end], "out") not in network:
        return None
    width, (near, _) = nx.minimum_cut(network, (keys[action], "in"), (keys[end], "out"))
    if width >= size:
        return None
    cut = [atom for atom, index in keys.items() if (index, "in") in near and (index, "out") not in near]
    cut.sort(key=keys.__getitem__)
    return Waist(program, action, parameters, cut, size, terms)
