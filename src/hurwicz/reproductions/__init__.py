"""Published experiments, run again and compared claim by claim."""

from hurwicz.reproductions import amid, mbi

__all__ = ["amid", "mbi"]
