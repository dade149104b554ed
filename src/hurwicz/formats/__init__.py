"""Files of the field, read and written."""

from hurwicz.formats.matpower import (
    BranchTable,
    BusTable,
    GenCostTable,
    GenTable,
    MatpowerCase,
    parse_matpower,
    read_matpower,
    write_matpower,
)
from hurwicz.formats.pglib import packaged_case, packaged_cases, packaged_path

__all__ = [
    "BranchTable",
    "BusTable",
    "GenCostTable",
    "GenTable",
    "MatpowerCase",
    "packaged_case",
    "packaged_cases",
    "packaged_path",
    "parse_matpower",
    "read_matpower",
    "write_matpower",
]
