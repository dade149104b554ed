"""The commands that the pages show are run as shown (their Python blocks are run by sybil)."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# These take minutes by design, or read what those write; the tests of their rooms run what they do. The grid is what `make run` runs.
LONG = re.compile(
    r"^(make |pip |git |hurwicz run examples/case118|hurwicz reproduce mbi(?! --only)|python -m (benchmarks|hurwicz.reproductions))"
)


def _blocks() -> list[tuple[str, tuple[str, ...]]]:
    """Page and commands of every block; those of one block share a folder, as a reader would expect."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = (line.split("#")[0].strip() for line in block.splitlines())
            commands = tuple(line for line in lines if line and not LONG.match(line))
            if commands:
                found.append((page.name, commands))
    return found


@pytest.mark.parametrize(("page", "commands"), _blocks())
def test_commands_of_a_page_run(page: str, commands: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for command in commands:
        words = shlex.split(command)
        assert words[0] in {"hurwicz", "python"}, f"{page}: {command}"
        words = [sys.executable, "-m", "hurwicz", *words[1:]] if words[0] == "hurwicz" else [sys.executable, *words[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_some_command_is_shown() -> None:
    assert any(command.startswith("hurwicz run") for _, commands in _blocks() for command in commands)


def test_every_figure_that_a_page_shows_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} shows {target}"


def test_the_page_of_benchmarks_lists_them_all() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"), re.MULTILINE)
    source = (ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
    names = re.search(r"NAMES = \((.*?)\)", source, re.DOTALL)
    assert names
    assert listed == re.findall(r'"(\w+)"', names[1])
