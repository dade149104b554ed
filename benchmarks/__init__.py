"""Measurements beside peers, in one run on one machine: ``python -m benchmarks [--only NAME] [--quick] [--json FILE]``."""
