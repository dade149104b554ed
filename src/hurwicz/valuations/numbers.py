"""Numbers that come from a caller: scalars, tuples, lists, arrays of any library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, float64_array

# numpy's own ArrayLike says the same, and cannot be checked at run time (a plain float fails its protocols).
Numbers = Any


def numbers(value: Numbers, name: str, *, shape: Sequence[int | None] | None = None, finite: bool = True) -> Float64[FloatArray, "..."]:
    """``value`` as a float64 array, or one clear error that calls it ``name``.

    Example:
        >>> numbers((1, 2), "loads").tolist()
        [1.0, 2.0]
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name}: expected numbers in one regular array, got {value!r}") from error
    return float64_array(array, name, shape=shape, finite=finite)
