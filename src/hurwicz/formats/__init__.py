"""Files of the field, read and written."""

from hurwicz.formats.cats import (
    CatsBid,
    CatsFile,
    packaged_auction,
    packaged_auctions,
    parse_cats,
    read_cats,
    write_cats,
)
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
    "CatsBid",
    "CatsFile",
    "GenCostTable",
    "GenTable",
    "MatpowerCase",
    "packaged_auction",
    "packaged_auctions",
    "packaged_case",
    "packaged_cases",
    "packaged_path",
    "parse_cats",
    "parse_matpower",
    "read_cats",
    "read_matpower",
    "write_cats",
    "write_matpower",
]
