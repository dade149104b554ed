"""A person's own mechanism out of a Python file: found, run, and its mistakes told in one line."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hurwicz._foundation import HurwiczError, InputError


def from_file(reference: str) -> Any:
    """What ``FILE.py:NAME`` names: a function that makes a mechanism, or a mechanism.

    Args:
        reference: the file, a colon, and the name of something in it.

    Raises:
        InputError: no such file, no such name, or a file that fails when it is run (with its line).
    """
    file, _, name = reference.rpartition(":") if ".py:" in reference else (reference, "", "")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"{file}: no such file; expected FILE.py:FUNCTION, the function making a mechanism")
    with in_own_words(reference):
        content = _run(path)
    own = [key for key, value in content.items() if getattr(value, "__module__", None) == content["__name__"] and callable(value)]
    if name in content and name:
        return content[name]
    near = difflib.get_close_matches(name, own, n=1) if name else []
    hint = f"did you mean {near[0]!r}?" if near else f"it defines {', '.join(own) or 'no function'}"
    came = f"no {name!r} in it" if name else "no function named"
    raise InputError(f"{file}: {came}; {hint} (write {file}:{(near or own or ['FUNCTION'])[0]})")


def _run(path: Path) -> dict[str, Any]:
    """The file's names, after it has run; what lies beside it can be imported by it."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = str(path.resolve().parent)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    return vars(module)


@contextmanager
def in_own_words(reference: str) -> Iterator[None]:
    """Turn whatever a person's own code raises into one message with the file, the line and the error's own words."""
    try:
        yield
    except HurwiczError:
        raise
    except (Exception, SystemExit) as error:  # a person's own code may raise anything
        file = reference.rpartition(":")[0] if ".py:" in reference else reference
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == Path(file).name]
        line = error.lineno if isinstance(error, SyntaxError) else own[-1].lineno if own else None
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        place = f"{file}:{line}" if line is not None else file
        raise InputError(f"{place}: {type(error).__name__}{': ' + said if said else ''}") from error
