"""Arguments that many mechanisms share: what is no number is refused in the same words as what is out of range."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: here a checker of annotations, which users do not have, would speak first.
SCRIPT = """
from hurwicz._foundation import InputError
from hurwicz.mechanisms import all_pay, discriminatory
cases = [lambda v=v: all_pay(["ann", "bob"], reserve=v) for v in ([0.2, 0.5], None, "high", float("nan"), float("inf"), -0.1)]
cases += [lambda v=v: discriminatory(3, units=v) for v in ([1], None, "2", True, 1.5, 0, float("nan"), float("inf"))]
for case in cases:
    try:
        case()
    except InputError as error:
        print(error)
"""


def test_what_is_no_number_is_refused_as_what_is_out_of_range_is() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(", got ")[0] for line in said[:6]] == ["all_pay: expected a finite reserve >= 0"] * 6
    assert len(said) == 14
    assert all("expected a whole number of units of at least 1, got" in line for line in said[6:])
