"""Response dynamics: interchangeable rules from answers to the next offers."""

from hurwicz.prices.dynamics.first_order import Accelerated, GradientResponse, Jacobi, Proximal
from hurwicz.prices.dynamics.price_newton import PriceNewton
from hurwicz.prices.dynamics.protocol import Dynamics
from hurwicz.prices.dynamics.quasi_newton import Anderson, Broyden
from hurwicz.prices.dynamics.splitting import SharingADMM

__all__ = ["Accelerated", "Anderson", "Broyden", "Dynamics", "GradientResponse", "Jacobi", "PriceNewton", "Proximal", "SharingADMM"]
