"""The experiments of Corecco et al. on mean-field incentive design (arXiv 2510.21442), run again and compared with what bounds them."""

from hurwicz.reproductions.amid.claim import Claim
from hurwicz.reproductions.amid.harness import claims, claims_table, reproduce, summary

__all__ = ["Claim", "claims", "claims_table", "reproduce", "summary"]
