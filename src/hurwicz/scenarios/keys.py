"""What the keys of every kind of scenario share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Table(BaseModel):
    """A table of the file: no unknown keys, no number out of text, no NaN."""

    # Built at the first file: most commands that name a mechanism read none.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def beside(path: str, context: Mapping[str, Any] | None) -> str:
    """A path of the file, meant relative to the scenario's own folder, which ``context`` names."""
    folder = (context or {}).get("folder")
    return path if folder is None or Path(path).is_absolute() else str(Path(folder, path))
