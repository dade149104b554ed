"""Published experiments, run again and compared claim by claim."""

from hurwicz.reproductions import mbi

__all__ = ["mbi"]
