"""The experiments of S. Grassi, "Mechanism-Based Intelligence" (arXiv 2512.20688), appendix C, run again and compared with the truth."""

from hurwicz.reproductions.mbi.claim import Claim
from hurwicz.reproductions.mbi.harness import claims, claims_table, reproduce, summary

__all__ = ["Claim", "claims", "claims_table", "reproduce", "summary"]
