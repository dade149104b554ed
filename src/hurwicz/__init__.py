"""hurwicz: mechanism design in multi-agent systems: prices, payments, and an auditor for both."""

from importlib.metadata import version

__version__ = version("hurwicz")
__all__ = ["__version__"]
