"""What the library offers by name: sorted, importable, documented, and changed only on purpose."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import hurwicz

SOURCE = Path(hurwicz.__file__).parent
PINNED = Path(__file__).with_name("public_names.txt")
PACKAGES = sorted(".".join(("hurwicz", *path.parent.relative_to(SOURCE).parts)) for path in SOURCE.rglob("__init__.py"))


def _public() -> list[str]:
    return [f"{package}.{name}" for package in PACKAGES for name in importlib.import_module(package).__all__]


def test_public_names_are_the_pinned_ones() -> None:
    """A name added or taken away is a decision: write the new list with ``python tests/house/test_public_names.py``."""
    assert _public() == PINNED.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_complete_and_importable(package: str) -> None:
    module = importlib.import_module(package)
    names = list(module.__all__)
    assert len(names) == len(set(names))  # their order is the linter's business (RUF022)
    for name in names:
        assert hasattr(module, name), f"{package}.{name} is announced and missing"


@pytest.mark.parametrize("name", _public())
def test_public_things_say_what_they_are(name: str) -> None:
    package, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(package), attribute)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing), f"{name} has no docstring"


def test_packages_only_reexport() -> None:
    """A folder's ``__init__`` holds a docstring, imports and ``__all__``."""
    for path in SOURCE.rglob("__init__.py"):
        if path.parent == SOURCE:
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.startswith(("def ", "class ", "@")), f"{path}: {line}"


if __name__ == "__main__":
    PINNED.write_text("\n".join(_public()) + "\n", encoding="utf-8")
