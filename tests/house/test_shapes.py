"""Shapes stand in the signatures, and are checked in tests only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from hurwicz.prices.beliefs import update
from hurwicz.prices.payments import AllocationProblem, QuadraticAggregate, total_loss
from hurwicz.typespaces import FinitePrior, Interval, Uniform

ROOT = Path(__file__).resolve().parents[2]
# Rooms whose every array says its shape. A room is added here once it does.
ROOMS = (
    "benchmarks",
    "src/hurwicz/_foundation",
    "src/hurwicz/formats",
    "src/hurwicz/prices/beliefs.py",
    "src/hurwicz/prices/direct.py",
    "src/hurwicz/prices/dispatch",
    "src/hurwicz/prices/payments",
    "src/hurwicz/prices/populations",
    "src/hurwicz/reproductions",
    "src/hurwicz/typespaces/priors.py",
    "src/hurwicz/typespaces/spaces.py",
    "src/hurwicz/valuations",
)
# Signatures that may say an array without a shape: "file: function or class.field", and why.
ALLOWED = {
    "src/hurwicz/_foundation/arrays.py: float64_array": "any shape; `hurwicz --help` loads it and must not load jaxtyping",
}
ARRAYS = {"Array", "BoolArray", "FloatArray", "IntArray", "NDArray", "ndarray"}
SHAPED = {"Float", "Float32", "Float64", "Int", "Int32", "Int64", "Integer", "UInt8", "UInt32", "UInt64", "Bool", "Real", "Num", "Shaped"}


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


def _problem() -> AllocationProblem:
    return QuadraticAggregate(2.0, ["a", "b"])


def test_a_wrong_shape_is_refused_under_the_hook() -> None:
    """Negative controls: one call each that only the annotation can refuse, next to the same call rightly shaped."""
    problem, types = _problem(), [np.ones(3), np.ones(3)]
    assert total_loss(problem, np.ones((3, 2)), types).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="actions"):
        total_loss(problem, np.ones(2), types)  # the batch axis is missing
    with pytest.raises(jaxtyping.TypeCheckError, match="actions"):
        total_loss(problem, np.ones((3, 2), dtype=np.float32), types)
    prior = Uniform(Interval(0.0, 1.0))
    assert prior.pdf(np.ones(3)).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="values"):
        prior.pdf(np.ones(3, dtype=np.int64))


def test_a_wrongly_shaped_result_of_a_callers_function_is_refused_under_the_hook() -> None:
    prior = FinitePrior([0.1, 0.3, 0.5])
    assert update(prior, lambda w: np.ones(len(w))).probabilities.shape == (3,)


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
