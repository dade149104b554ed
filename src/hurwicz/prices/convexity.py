"""Certificates that a system loss is convex, read off its primitives.

Two proofs are tried: S is a quadratic (by degree) whose Hessian has no negative eigenvalue; or S is composed by the rules
of disciplined convex programming (Grant, Boyd and Ye 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.prices.graph_loss import SystemLoss, Terms
from hurwicz.prices.waist import MOVING, FlatProgram, affine_values

_WIDEST = 2000
_SHAPING = MOVING | {"concatenate", "stack", "reduce_max"}


def certify_convex(loss: SystemLoss, terms: Terms) -> str | None:
    """A sentence saying why S (with its constraints) is convex, or ``None`` where no proof was found.

    Example:
        >>> from hurwicz.prices.graph import PriceGraph
        >>> loss = PriceGraph.from_loss(lambda x: (x["a"] - 1.0) ** 2, {"a": ()}).compile()
        >>> certify_convex(loss, loss.terms())
        'S is quadratic and its Hessian has no negative eigenvalue'
    """
    if not certify_convex_set(loss, terms):
        return None
    system = _part(loss, loss.loss_name, terms)
    within = ", on a convex set" if loss.constraints else ""
    if _degree(system) <= 2 and _hessian_is_psd(loss, terms):
        return f"S is quadratic and its Hessian has no negative eigenvalue{within}"
    if _convex_by_rules(system, terms):
        return f"S is convex by the rules of disciplined convex programming{within}"
    return None


def certify_convex_set(loss: SystemLoss, terms: Terms) -> bool:
    """Whether the hard constraints are proved to hold on a convex set: equalities affine, inequalities affine or convex by the rules.

    Example:
        >>> from hurwicz.prices.graph import PriceGraph
        >>> graph = PriceGraph()
        >>> _ = graph.agent("a"), graph.loss("l", lambda a: a**2, ["a"]), graph.inequality("outside", lambda a: 1.0 - a**2, ["a"])
        >>> loss = graph.compile()
        >>> certify_convex_set(loss, loss.terms())
        False
    """
    for name, kind in loss.constraints.items():
        program = _part(loss, name, terms)
        _, affine = affine_values(program, program.inputs[0])
        if program.outputs[0] not in affine and (kind == "equality" or not _convex_by_rules(program, terms)):
            return False
    return True


def _part(loss: SystemLoss, node: str, terms: Terms) -> FlatProgram:
    with float64_scope():
        return FlatProgram(lambda flat, terms: loss.evaluate(loss.pieces(flat), terms.data)[node], np.zeros(loss.size), terms)


def _degree(program: FlatProgram) -> float:
    """Degree of the output as a polynomial in the actions; infinite where it is none."""
    action = program.inputs[0]
    depends = program.dependents([action])
    degrees: dict[Any, float] = {action: 1.0}
    for equation, operands, results in program.equations:
        moving = [k for k, atom in enumerate(operands) if not program.is_literal(atom) and atom in depends]
        if not moving:
            continue
        each = [degrees[operands[k]] for k in moving]
        name = equation.primitive.name
        if name in ("mul", "dot_general"):
            degree = sum(each)
        elif name == "square":
            degree = 2 * each[0]
        elif name == "integer_pow" and equation.params["y"] >= 0:
            degree = equation.params["y"] * each[0]
        elif name in ("add", "add_any", "sub", "neg") or (
            name in _SHAPING - {"reduce_max"} and (moving == [0] or name in ("concatenate", "stack"))
        ):
            degree = max(each)
        elif name == "div" and moving == [0]:
            degree = each[0]
        else:
            degree = np.inf
        for result in results:
            degrees[result] = degree
    end = program.outputs[0]
    return 0.0 if program.is_literal(end) or end not in depends else degrees[end]


def _hessian_is_psd(loss: SystemLoss, terms: Terms) -> bool:
    waist = loss.waist
    # A Hessian Aᵀ F A has no negative eigenvalue if F has none.
    narrow = not loss.constraints and waist is not None and waist.dimension <= _WIDEST
    if narrow and waist is not None and _psd(waist.hessian(np.zeros(waist.dimension), terms)):
        return True
    if loss.size > _WIDEST:
        return False
    return _psd(loss.system_hessian(np.zeros(loss.size), terms))


def _psd(matrix: Float64[FloatArray, "dims dims"]) -> bool:
    values = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))
    return bool(values[0] >= -1e-12 * max(1.0, float(np.abs(values).max())))


@dataclass(frozen=True)
class _Shape:
    """What is known of a value: its bend (+1 convex, -1 concave, 0 affine, None unknown) and sign (+1 >= 0, -1 <= 0, None).

    ``squares``: it is a sum of squares of convex values of one sign or of affine ones, so that its root is a norm, and convex.
    """

    bend: int | None
    sign: int | None
    squares: bool = False


def _sign_of(array: Float64[FloatArray, "..."]) -> int | None:
    return 1 if np.all(array >= 0) else -1 if np.all(array <= 0) else None


def _join(bends: list[int | None]) -> int | None:
    """Bend of a sum."""
    if None in bends or (1 in bends and -1 in bends):
        return None
    return next((bend for bend in bends if bend), 0)


def _times(bend: int | None, sign: int | None) -> int | None:
    """Bend of a constant of that sign times a value."""
    if bend == 0:
        return 0
    return None if bend is None or sign is None else bend * sign


def _convex_by_rules(program: FlatProgram, terms: Terms) -> bool:
    import jax

    action, parameters = program.inputs[0], program.inputs[1:]
    depends = program.dependents([action])
    _, affine = affine_values(program, action)
    end = program.outputs[0]
    if program.is_literal(end) or end not in depends:
        return True
    fixed = [atom for _, operands, _ in program.equations for atom in operands if not program.is_literal(atom) and atom not in depends]
    known = dict(zip(parameters, jax.tree.leaves(terms), strict=True))
    with float64_scope():
        constants = {atom: np.asarray(value, dtype=np.float64) for atom, value in zip(fixed, program.run(known, fixed), strict=True)}
    shapes: dict[Any, _Shape] = {action: _Shape(0, None)}

    def shape(atom: Any) -> _Shape:
        if program.is_literal(atom):
            return _Shape(0, _sign_of(np.asarray(atom.val, dtype=np.float64)))
        return shapes[atom] if atom in depends else _Shape(0, _sign_of(constants[atom]))

    def moving(atom: Any) -> bool:
        return not program.is_literal(atom) and atom in depends

    for equation, operands, results in program.equations:
        if not any(moving(atom) for atom in operands):
            continue
        same = len(operands) == 2 and operands[0] is operands[1]
        exponent = None
        if equation.primitive.name == "pow" and not moving(operands[1]):
            exponent = np.asarray(operands[1].val if program.is_literal(operands[1]) else constants[operands[1]], dtype=np.float64)
        found = _rule(
            equation.primitive.name,
            equation.params,
            [shape(atom) for atom in operands],
            [moving(atom) for atom in operands],
            same,
            exponent,
        )
        for result in results:
            shapes[result] = _Shape(0, found.sign) if result in affine else found
    return shapes[end].bend in (0, 1)


def _rule(
    name: str,
    params: dict[str, Any],
    parts: list[_Shape],
    moving: list[bool],
    same: bool,
    exponent: Float64[FloatArray, "..."] | None = None,
) -> _Shape:
    """Bend and sign of a primitive's value."""
    first = parts[0]
    if name in ("add", "add_any"):
        squares = first.squares and parts[1].squares
        return _Shape(_join([part.bend for part in parts]), first.sign if first.sign == parts[1].sign else None, squares)
    if name == "sub":
        flipped = _times(parts[1].bend, -1)
        return _Shape(_join([first.bend, flipped]), first.sign if first.sign and parts[1].sign == -first.sign else None)
    if name == "neg":
        return _Shape(_times(first.bend, -1), None if first.sign is None else -first.sign)
    if name in ("mul", "dot_general", "div"):
        sign = first.sign * parts[1].sign if first.sign and parts[1].sign else None
        if all(moving):
            return _squared(first) if same and name == "mul" else _Shape(None, sign)
        if name == "div" and moving[1]:
            return _Shape(None, sign)
        mover, other = (first, parts[1]) if moving[0] else (parts[1], first)
        return _Shape(_times(mover.bend, other.sign), sign, mover.squares and other.sign == 1)
    if name == "pow" and moving == [True, False]:
        return _power(first, exponent)
    if name == "sqrt" and first.squares:
        return _Shape(1, 1)
    if name == "square" or (name == "integer_pow" and params["y"] == 2):
        return _squared(first)
    if name == "integer_pow" and params["y"] > 2:
        even = params["y"] % 2 == 0
        if even:
            return _Shape(_squared(first).bend, 1)
        return _Shape(1 if first.sign == 1 and first.bend in (0, 1) else None, first.sign)
    if name in ("exp", "exp2"):
        return _Shape(1 if first.bend in (0, 1) else None, 1)
    if name == "abs":
        return _Shape(_squared(first).bend, 1)
    if name in ("log", "sqrt", "log1p"):
        return _Shape(-1 if first.bend in (0, -1) else None, 1 if name == "sqrt" else None)
    if name == "max":
        sign = 1 if 1 in (first.sign, parts[1].sign) else (-1 if first.sign == parts[1].sign == -1 else None)
        return _Shape(1 if all(part.bend in (0, 1) for part in parts) else None, sign)
    if name == "min":
        sign = -1 if -1 in (first.sign, parts[1].sign) else (1 if first.sign == parts[1].sign == 1 else None)
        return _Shape(-1 if all(part.bend in (0, -1) for part in parts) else None, sign)
    if name == "reduce_max":
        return _Shape(1 if first.bend in (0, 1) else None, first.sign)
    if name in ("concatenate", "stack"):
        signs = {part.sign for part in parts}
        return _Shape(_join([part.bend for part in parts]), first.sign if len(signs) == 1 else None, all(p.squares for p in parts))
    if name in _SHAPING and moving[0] and not any(moving[1:]):
        return first
    return _Shape(None, None)


def _squared(part: _Shape) -> _Shape:
    """An even power, or the absolute value: convex in something affine, or convex and >= 0, or concave and <= 0."""
    convex = part.bend == 0 or (part.bend == 1 and part.sign == 1) or (part.bend == -1 and part.sign == -1)
    return _Shape(1 if convex else None, 1, convex)


def _power(base: _Shape, exponent: Float64[FloatArray, "..."] | None) -> _Shape:
    """A constant real power, where it is at least 1: even ones of anything that squares may take, others of what is convex and >= 0."""
    if exponent is None or not np.all(exponent >= 1):
        return _Shape(None, None)
    if np.all(exponent % 2 == 0):
        part = _squared(base)
        return part if np.all(exponent == 2) else _Shape(part.bend, part.sign)
    return _Shape(1 if base.sign == 1 and base.bend in (0, 1) else None, base.sign if base.sign == 1 else None)
