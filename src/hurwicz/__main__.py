"""``python -m hurwicz`` is the command line."""

from hurwicz.cli import main

main()
