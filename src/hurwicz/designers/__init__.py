"""Find a mechanism: derivatives through the equilibrium that its rules induce."""

from hurwicz.designers.mean_field_gradient import EquilibriumMap

__all__ = ["EquilibriumMap"]
