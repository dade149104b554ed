"""A mechanism by name or from a file → an audit, its witnesses, its equilibrium."""

from hurwicz.scenarios.mechanisms.making import Recipe, make_mechanism
from hurwicz.scenarios.mechanisms.witness import Replayed, replay_file

__all__ = ["Recipe", "Replayed", "make_mechanism", "replay_file"]
