"""Exploitabilities that another library finds on its own statement of the same games, digit by digit.

MFGLib 0.3.0 in float64 (``torch.set_default_dtype(torch.float64)``) gave the figures:
``mfglib.scoring.exploitability_score(env, pi)`` with ``env = mfglib.env.Environment.<game>(<its options>)``, for the uniform policy, and
after ten calls of ``step_next_state`` of ``mfglib.alg.OnlineMirrorDescent(alpha=<rate>)`` and of ``mfglib.alg.FictitiousPlay(alpha=0.0)``
from the uniform policy. Its horizon T counts from 0: T + 1 rounds.
"""

from __future__ import annotations

import jax
import pytest

from hurwicz.equilibria.mean_field import FictitiousPlay, OnlineMirrorDescent
from hurwicz.meanfield import crowd_motion, exploitability, left_right, rock_paper_scissors, susceptible_infected, uniform_policy

# game, rate of mirror descent, figures of the uniform policy, of mirror descent and of fictitious play
FIGURES = {
    "left_right()": (left_right, 0.5, 0.25, 0.002351684238314, 0.030991735537190146),
    "rock_paper_scissors()": (rock_paper_scissors, 0.1, 0.33333333333333337, 0.1607916305805257, 0.27548209366391196),
    "susceptible_infected()": (susceptible_infected, 0.1, 5.466873913228518, 4.477412443651652, 1.1168072467973182),
    # No figure of fictitious play: in a symmetric hall actions tie, and rounding decides which of them the other library calls best.
    # The stage steps by each library's own generator: these seeds of ours and of theirs lead it to the same places
    "crowd_motion(seed=0)": (lambda: crowd_motion(seed=1), 0.1, 1.4674829515747234, 0.8459497248787926, None),
    "crowd_motion(seed=1)": (lambda: crowd_motion(seed=0), 0.1, 1.4674844159585305, 0.8470658548322234, None),
}


def after_ten(iteration, game):
    def play():
        iterate = jax.lax.fori_loop(0, 10, lambda t, x: iteration.step(game, x, t, None, 0.0), iteration.init(game))
        return exploitability(game, iteration.policy(game, iterate))

    return float(jax.jit(play)())


@pytest.mark.parametrize("called", FIGURES)
def test_exploitabilities_are_those_of_the_other_library(called):
    make, rate, uniform, descended, played = FIGURES[called]
    game = make()
    assert float(exploitability(game, uniform_policy(game))) == pytest.approx(uniform, rel=1e-12)
    assert after_ten(OnlineMirrorDescent(rate), game) == pytest.approx(descended, rel=1e-10)
    if played is not None:
        assert after_ten(FictitiousPlay(), game) == pytest.approx(played, rel=1e-10)
