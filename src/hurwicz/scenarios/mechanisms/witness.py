"""Witness files: a refutation with the recipe of its mechanism, so that anyone can replay it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hurwicz._foundation import FormatError, InputError
from hurwicz.audits import Effort, Finding, replay
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.story import story
from hurwicz.scenarios.mechanisms.making import Recipe, common_prior, make_mechanism
from hurwicz.scenarios.mechanisms.own_file import in_own_words
from hurwicz.settings import PROPERTIES

FORMAT = "hurwicz witness 1"
WITNESS_FILE = "witness-{}.json"
_SAME = 1e-6


@dataclass(frozen=True)
class Replayed:
    """A witness, recomputed.

    Attributes:
        recipe: the mechanism that it is against.
        finding: the refutation, as the file has it.
        gain: what the mechanism itself gives, computed afresh.
        story: the witness in a person's words.
    """

    recipe: Recipe
    finding: Finding
    gain: float
    story: str

    @property
    def holds(self) -> bool:
        """Whether the gain is there, and is the one that the file states."""
        assert self.finding.witness is not None
        stated = self.finding.witness.gain
        return self.gain > 0.0 and abs(self.gain - stated) <= _SAME * max(abs(stated), abs(self.gain))

    def told(self) -> str:
        """For a person: the story, and whether it is true."""
        assert self.finding.witness is not None
        stated = self.finding.witness.gain
        verdict = "replays" if self.holds else "DOES NOT REPLAY"
        return f"{self.recipe.name}, {self.finding.property}: {self.story}\n{verdict}: {self.gain:.9g} computed, {stated:.9g} stated"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        assert self.finding.witness is not None
        return {
            "replays": self.holds,
            "gain": self.gain,
            "stated_gain": self.finding.witness.gain,
            "property": self.finding.property,
            "story": self.story,
            "mechanism": self.recipe.to_dict(),
        }


def witness_files(recipe: Recipe, findings: Sequence[Finding]) -> dict[str, str]:
    """File name → content, for every refutation among the findings."""
    made = {}
    for finding in findings:
        if finding.witness is not None:
            content = {"format": FORMAT, "mechanism": recipe.to_dict(), "finding": finding.to_dict()}
            made[WITNESS_FILE.format(finding.property)] = json.dumps(content, indent=2, allow_nan=False) + "\n"
    return made


def replay_file(path: str | Path) -> Replayed:
    """Recompute the gain of a witness file from the mechanism alone.

    Args:
        path: a file that an audit wrote.

    Raises:
        FormatError: not such a file.
        InputError: a mechanism that cannot be made any more, or a witness that does not fit it.
    """
    path = Path(path)
    recipe, finding = _read(path)
    mechanism = make_mechanism(recipe)
    with in_own_words(recipe.mechanism):
        try:
            gain = replay(mechanism, finding, prior=common_prior(recipe, mechanism))
            told = story(Evaluator(mechanism, Effort(), seed=0), finding)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            if recipe.own_file:
                raise
            raise InputError(f"{path}: its witness is not whole or does not fit the mechanism {recipe.name}") from error
    return Replayed(recipe, finding, gain, told)


def _read(path: Path) -> tuple[Recipe, Finding]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror}); expected a witness file that `hurwicz audit` wrote", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not text in UTF-8; expected a witness file", path=path) from error
    except json.JSONDecodeError as error:
        raise FormatError(f"is not valid JSON: {error.msg}", path=path, line=error.lineno) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        came = repr(content.get("format")) if isinstance(content, dict) else type(content).__name__
        raise FormatError(f"format: expected {FORMAT!r}, got {came}; `hurwicz audit` writes such files", path=path)
    try:
        recipe, finding = Recipe.from_dict(content["mechanism"]), Finding.from_dict(content["finding"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"is no whole witness file: {type(error).__name__}: {error}", path=path) from error
    if finding.witness is None:
        raise FormatError(f"holds a finding that is {finding.verdict.value}: only a refutation has a witness", path=path)
    if finding.property not in PROPERTIES:
        raise FormatError(f"property: expected one of {', '.join(PROPERTIES)}; got {finding.property!r}", path=path)
    gain: Any = finding.witness.gain
    if isinstance(gain, bool) or not isinstance(gain, int | float) or not math.isfinite(gain):
        raise FormatError(f"gain: expected a finite number, got {gain!r}", path=path)
    return _beside(recipe, path), finding


def _beside(recipe: Recipe, path: Path) -> Recipe:
    """A mechanism's file is looked for where the audit named it, then beside the witness."""
    from dataclasses import replace

    if not recipe.own_file:
        return recipe
    file, colon, name = recipe.mechanism.rpartition(":")
    if not colon or Path(file).is_file():
        return recipe
    near = path.parent / Path(file).name
    return replace(recipe, mechanism=f"{os.fspath(near)}:{name}") if near.is_file() else recipe
