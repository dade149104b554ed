"""Generators as private agents: each answers offers, and shows nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.formats import MatpowerCase
from hurwicz.prices.dispatch.costs import Cost, unit_costs
from hurwicz.prices.dispatch.network import DcNetwork
from hurwicz.prices.offer import Offer


class Generator:
    """A generator that minimises C(x) - price x + weight/2 (x - anchor)² over [Pmin, Pmax] when asked (a ``Respondent``)."""

    __slots__ = ("_cost", "_high", "_low", "name", "shape")

    def __init__(self, name: str, low: float, high: float, cost: Cost) -> None:
        self.name = name
        self.shape: tuple[int, ...] = ()
        self._low, self._high, self._cost = low, high, cost

    def respond(self, offer: Offer, inputs: Mapping[str, Float64[FloatArray, "..."]]) -> Float64[FloatArray, ""]:
        """Output in MW. ``inputs`` is not used: a generator has no upstream nodes.

        Raises:
            InputError: the offer asks for a gradient step, or has a weight without an anchor.
        """
        del inputs
        if offer.step is not None:
            raise InputError(f"{self.name}: expected an offer with a price, and a weight with its anchor; got a gradient step")
        if offer.anchor is None:
            if offer.weight:
                raise InputError(f"{self.name}: expected an anchor with the weight {offer.weight}, got none")
            anchor = self._low
        else:
            anchor = float(offer.anchor)
        return np.array(self._cost.best(float(offer.price), anchor, float(offer.weight), self._low, self._high))


def generators(case: MatpowerCase, network: DcNetwork) -> list[Generator]:
    """The case's units in service as agents, in the order of ``network.units``.

    Raises:
        FormatError: a cost that is not convex between Pmin and Pmax.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> from hurwicz.prices.dispatch.network import dc_network
        >>> case = packaged_case("case14_ieee")
        >>> agents = generators(case, dc_network(case))
        >>> agents[0].name, float(agents[0].respond(Offer(np.array(9.0), np.array(100.0), 1.0), {}))
        ('gen 1 @ bus 1', 101.079049)
    """
    limits = zip(network.pmin.tolist(), network.pmax.tolist(), strict=True)
    costs = unit_costs(case, network.unit_rows)
    return [Generator(name, low, high, cost) for name, (low, high), cost in zip(network.units, limits, costs, strict=True)]
