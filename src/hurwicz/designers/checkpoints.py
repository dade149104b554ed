"""The state of a search in one file, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hurwicz._foundation import FormatError, InputError

_META = "described"
_FORMAT = 1


def save_checkpoint(path: Path, arrays: Any, described: dict[str, Any]) -> None:
    """Write a pytree of arrays and what describes it; a reader sees the old file or the new one, never a part of one.

    Args:
        path: the file.
        arrays: a pytree of arrays, kept bit for bit.
        described: what JSON can hold.
    """
    leaves = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(arrays))}
    meta = json.dumps({"format": _FORMAT, "structure": _structure(arrays), **described})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_META: np.asarray(meta)}, **leaves)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load_checkpoint(path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Args:
        path: the file.
        like: a pytree of the structure and shapes that are expected.

    Returns:
        The arrays in the structure of ``like``, and what described them.

    Raises:
        FormatError: not a checkpoint.
        InputError: a checkpoint of other arrays than expected.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            meta = json.loads(str(held[_META]))
            leaves = [held[f"leaf{i}"] for i in range(len(held.files) - 1)]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FormatError("expected a checkpoint of a design; this file is none, or damaged: remove it to start anew", path=path) from error
    wanted = jax.tree.leaves(like)
    if meta.get("format") != _FORMAT or meta.get("structure") != _structure(like) or len(leaves) != len(wanted):
        raise InputError(f"{path}: the checkpoint is of another theta or optimiser than this run's; give the same ones, or another file")
    for there, here in zip(leaves, wanted, strict=True):
        if there.shape != np.shape(here) or there.dtype != np.asarray(here).dtype:
            raise InputError(
                f"{path}: the checkpoint holds an array of {there.dtype} {there.shape} where this run has {np.asarray(here).dtype} "
                f"{np.shape(here)}; give the same problem, or another file"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [jax.numpy.asarray(leaf) for leaf in leaves]), meta


def _structure(arrays: Any) -> str:
    return str(jax.tree.structure(arrays))
