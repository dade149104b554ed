"""Equilibria that mechanisms induce."""

__all__: list[str] = []
