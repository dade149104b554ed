"""A mechanism of one's own, for `hurwicz audit examples/own_mechanism.py:average_price --bidders 3`."""

import numpy as np

from hurwicz.mechanisms import single_parameter


def average_price(agents=2, *, prior=None, weight: float = 0.5):
    """The highest bid wins and pays between its own bid and the second: ``weight`` of the way up. A colleague says this is truthful."""

    def rule(bids):
        wins = np.eye(bids.shape[1])[bids.argmax(axis=1)]
        highest, second = np.sort(bids, axis=1)[:, -1], np.sort(bids, axis=1)[:, -2]
        return wins, wins * (weight * highest + (1.0 - weight) * second)[:, None]

    return single_parameter("average of first and second price", rule, agents, prior=prior)
