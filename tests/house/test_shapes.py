"""Shapes stand in the signatures, and are checked in tests only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from hurwicz.formats import packaged_case
from hurwicz.prices import PriceGraph
from hurwicz.prices.dispatch import dc_network
from hurwicz.prices.dynamics.protocol import relative as relative_change
from hurwicz.prices.payments import ConvexProblem, QuadraticAggregate, total_loss
from hurwicz.settings import Outcomes
from hurwicz.typespaces import Interval, Uniform

ROOT = Path(__file__).resolve().parents[2]
# Rooms whose every array says its shape. A room is added here once it does.
ROOMS = (
    "benchmarks",
    "src/hurwicz/_foundation",
    "src/hurwicz/formats",
    "src/hurwicz/prices",
    "src/hurwicz/reproductions",
    "src/hurwicz/settings/direct.py",
    "src/hurwicz/typespaces",
    "src/hurwicz/valuations",
)
# Signatures that may say an array without a shape: "file: function or class.field", and why.
ALLOWED = {
    "src/hurwicz/_foundation/arrays.py: float64_array": "any shape; `hurwicz --help` loads it and must not load jaxtyping",
}
ARRAYS = {"Array", "BoolArray", "FloatArray", "IntArray", "NDArray", "ndarray"}
SHAPED = {
    "Float",
    "Float32",
    "Float64",
    "Int",
    "Int32",
    "Int64",
    "Integer",
    "UInt8",
    "UInt32",
    "UInt64",
    "Bool",
    "Key",
    "Real",
    "Num",
    "Shaped",
}


def _files() -> list[Path]:
    found = [path for room in ROOMS for path in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))]
    return [path for path in found if not path.name.endswith("_kernels.py")]


def _bare(annotation: ast.expr) -> bool:
    """Whether an array is named outside ``Float64[..., "shape"]`` and its like; annotations in quotes are read too."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _bare(ast.parse(annotation.value.strip(), mode="eval").body)
    if isinstance(annotation, ast.Subscript):
        head = annotation.value
        name = head.attr if isinstance(head, ast.Attribute) else getattr(head, "id", "")
        if name in SHAPED:
            return False
        if name == "Literal":
            return False
    if isinstance(annotation, ast.Name):
        return annotation.id in ARRAYS
    if isinstance(annotation, ast.Attribute):
        return annotation.attr in ARRAYS
    return any(_bare(child) for child in ast.iter_child_nodes(annotation) if isinstance(child, ast.expr))


def _signatures(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.expr]]:
    """Arguments, results and fields of a module's functions and classes; functions inside functions are their own business."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
                if argument is not None and argument.annotation is not None:
                    yield prefix + node.name, argument.annotation
            if node.returns is not None:
                yield prefix + node.name, node.returns
        elif isinstance(node, ast.ClassDef):
            yield from _signatures(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.AnnAssign) and prefix and isinstance(node.target, ast.Name):
            yield prefix + node.target.id, node.annotation
        elif isinstance(node, ast.Assign) and not prefix and isinstance(node.value, ast.Subscript | ast.BinOp):
            if ast.unparse(node.targets[0]) not in ARRAYS:  # else the name of an inner type
                yield ast.unparse(node.targets[0]), node.value
        elif isinstance(node, ast.If | ast.Try):
            yield from _signatures(node.body, prefix)


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_array_in_a_signature_says_its_shape(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    bare = {f"{place}: {name}" for name, annotation in _signatures(ast.parse(path.read_text(encoding="utf-8")).body) if _bare(annotation)}
    assert not bare - ALLOWED.keys(), "say the shape: Float64[FloatArray, ...], see CONTRIBUTING.md"


def test_no_allowance_is_out_of_date() -> None:
    found = set()
    for path in _files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {f"{path.relative_to(ROOT)}: {name}" for name, annotation in _signatures(tree.body) if _bare(annotation)}
    assert set(ALLOWED) <= found


@pytest.mark.parametrize(
    "annotation", ["FloatArray", "tuple[FloatArray, int]", "FloatArray | None", "np.ndarray", "Sequence[NDArray[Any]]"]
)
def test_a_bare_array_is_seen(annotation: str) -> None:
    assert _bare(ast.parse(annotation, mode="eval").body)
    assert _bare(ast.Constant(annotation))


@pytest.mark.parametrize(
    "annotation", ["Float64[FloatArray, ' agents']", "Sequence[Shaped[NDArray[Any], 'batch ...']] | None", "float", "ArrayLike"]
)
def test_an_array_with_a_shape_is_not(annotation: str) -> None:
    assert not _bare(ast.parse(annotation, mode="eval").body)


def test_a_wrong_shape_is_refused_under_the_hook() -> None:
    """Negative controls: calls that only the annotation can refuse, each next to the same call rightly shaped."""
    problem, types = QuadraticAggregate(2.0, ["a", "b"]), [np.ones(3), np.ones(3)]
    assert total_loss(problem, np.ones((3, 2)), types).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="'actions'"):
        total_loss(problem, np.ones(2), types)  # the batch axis is missing
    with pytest.raises(jaxtyping.TypeCheckError, match="'actions'"):
        total_loss(problem, np.ones((3, 2), dtype=np.float32), types)
    prior = Uniform(Interval(0.0, 1.0))
    assert prior.pdf(np.ones(3)).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="'values'"):
        prior.pdf(np.ones(3, dtype=np.int64))


def test_a_wrong_type_is_refused_where_no_shape_is_said() -> None:
    assert packaged_case("case14_ieee").name
    with pytest.raises(jaxtyping.TypeCheckError, match="name"):
        packaged_case(14)


def test_two_arrays_of_one_length_by_name_must_have_it() -> None:
    problem = QuadraticAggregate(2.0, ["a", "b"])
    start, stop, types = np.zeros(3), np.ones(3), [np.ones(3), np.ones(3)]
    assert problem.kinks(0, start, stop, types).shape == (3, 0)
    with pytest.raises(jaxtyping.TypeCheckError, match="'stop'"):
        problem.kinks(0, start, stop[:2], types)
    with pytest.raises(jaxtyping.TypeCheckError, match="'types'"):
        problem.cost(0, np.ones(3), np.ones(1))  # numpy would broadcast it


def test_fields_are_checked_against_one_another() -> None:
    net = dc_network(packaged_case("case14_ieee"))
    with pytest.raises(jaxtyping.TypeCheckError, match="'pmax'"):
        replace(net, pmax=net.pmax[:-1])
    with pytest.raises(jaxtyping.TypeCheckError, match="'rate'"):
        replace(net, rate=net.demand)


def test_a_wrongly_shaped_result_is_refused_under_the_hook() -> None:
    """S has to be one number: a caller's function that gives one an agent is caught where it is first used."""
    wrong = ConvexProblem(lambda x: (x - 1.0) ** 2, lambda x, w: w * x**2, 2, low=0.0, high=1.0)
    with pytest.raises(jaxtyping.TypeCheckError, match="return"):
        wrong.system_loss(np.ones((3, 2)))


def test_the_planner_and_its_agents_are_checked_too() -> None:
    graph = PriceGraph.from_loss(lambda x: (x["a"].sum() + x["b"] - 1.0) ** 2, {"a": (2,), "b": ()})
    waist = graph.compile().waist
    assert waist is not None
    assert waist.gradient(np.zeros(1)).shape == (1,)
    with pytest.raises(jaxtyping.TypeCheckError, match="'y'"):
        waist.gradient(np.zeros((1, 1)))
    with pytest.raises(jaxtyping.TypeCheckError, match="'x'"):
        relative_change(np.zeros(3), np.zeros(2))
    with pytest.raises(jaxtyping.TypeCheckError, match="'payments'"):
        Outcomes({"a": np.zeros((3, 2))}, {"a": np.zeros(2)})


UNCHECKED = """
import sys
import numpy as np
from hurwicz.typespaces import Interval, Uniform
print(Uniform(Interval(0.0, 2.0)).pdf(np.ones(2, dtype=np.int64)), "jax" in sys.modules, "beartype" in sys.modules)
"""


def test_help_does_not_load_jaxtyping() -> None:
    code = "import sys, hurwicz.cli; print('jaxtyping' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_nothing_is_checked_and_jax_is_not_loaded_without_the_hook() -> None:
    done = subprocess.run([sys.executable, "-c", UNCHECKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[0.5 0.5] False False"
