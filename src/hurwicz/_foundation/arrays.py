"""Checks on numbers that come from outside, and sums that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation.errors import InputError, NotFiniteError, ShapeError

# In signatures it stands inside a shape: Float64[FloatArray, "batch agents"].
FloatArray = NDArray[np.float64]


def float64_array(value: ArrayLike, name: str, *, shape: Sequence[int | None] | None = None, finite: bool = True) -> FloatArray:
    """``value`` as a float64 array, or one clear error that calls it ``name``.

    Args:
        value: anything array-like.
        name: what the caller's user calls it; used in the message.
        shape: expected shape, ``None`` for an axis of any length; not checked if omitted.
        finite: refuse NaN and infinities.

    Raises:
        InputError: not numeric.
        ShapeError: another shape than expected.
        NotFiniteError: NaN or infinity, with the index of the first.

    Example:
        >>> float64_array([1, 2], "loads", shape=(None,))
        array([1., 2.])
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {value!r}") from error
    if shape is not None and (
        array.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, array.shape, strict=True))
    ):
        wanted = tuple("any" if n is None else n for n in shape)
        raise ShapeError(f"{name}: expected shape {wanted}, got {array.shape}")
    if finite and not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NotFiniteError(f"{name}: expected finite numbers, got {array[where]} at index {where}; remove or replace it")
    return array


def float64_scope() -> AbstractContextManager[Any]:
    """A context in which JAX computes in float64, leaving the process's setting as it was.

    ``jnp.sum(x, dtype=jnp.float64)`` alone silently stays float32 in a float32 program; inside this scope it does not.

    Example:
        >>> import jax.numpy as jnp
        >>> with float64_scope():
        ...     print(jnp.asarray(1.0).dtype)
        float64
    """
    import jax

    scope: AbstractContextManager[Any] = jax.enable_x64(True)
    return scope
