"""Combinatorial auctions: winner determination, VCG and core-selecting payments, affine maximisers, pay as bid."""

from hurwicz.mechanisms.combinatorial.affine_maximiser import affine_maximiser
from hurwicz.mechanisms.combinatorial.auction import (
    Assignment,
    AuctionResult,
    CombinatorialAuction,
    combinatorial_auction,
    from_cats,
    to_cats,
)
from hurwicz.mechanisms.combinatorial.core import Objection, core_selecting, objection
from hurwicz.mechanisms.combinatorial.direct import (
    combinatorial_affine_maximiser,
    combinatorial_pay_as_bid,
    combinatorial_vcg,
    core_selecting_auction,
)
from hurwicz.mechanisms.combinatorial.procurement import (
    Tender,
    TenderResult,
    combinatorial_procurement,
    combinatorial_tender,
    procurement_vcg,
)
from hurwicz.mechanisms.combinatorial.vcg import pay_as_bid, vcg
from hurwicz.mechanisms.combinatorial.winner_determination import winner_determination

__all__ = [
    "Assignment",
    "AuctionResult",
    "CombinatorialAuction",
    "Objection",
    "Tender",
    "TenderResult",
    "affine_maximiser",
    "combinatorial_affine_maximiser",
    "combinatorial_auction",
    "combinatorial_pay_as_bid",
    "combinatorial_procurement",
    "combinatorial_tender",
    "combinatorial_vcg",
    "core_selecting",
    "core_selecting_auction",
    "from_cats",
    "objection",
    "pay_as_bid",
    "procurement_vcg",
    "to_cats",
    "vcg",
    "winner_determination",
]
