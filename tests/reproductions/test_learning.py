"""C.6: PPO where it is installed, and what is said where it is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hurwicz._foundation import InputError, MissingExtraError
from hurwicz.reproductions.mbi import learning, ppo
from hurwicz.reproductions.mbi.claim import Context
from hurwicz.reproductions.mbi.instances import C2

REASON = "stable-baselines3 is in the bench extra"


def test_gradient_to_gap_from_both_starts() -> None:
    rounds, seconds, loss = learning.gradient_to_gap(np.ones(100), step=0.001, rounds=200)
    assert rounds == 41
    assert seconds > 0
    assert C2.optimal_loss() < loss <= 1.001 * C2.optimal_loss()
    rounds, _, loss = learning.gradient_to_gap(np.random.default_rng(0).uniform(0, 2, 100), step=0.0095, rounds=2000)
    assert rounds is not None
    assert rounds > 800  # 41 above, at a tenth of the step: a spread dies out at the rate of lambda alone
    assert loss <= 1.001 * C2.optimal_loss()
    assert learning.gradient_to_gap(np.zeros(100), step=1e-6, rounds=10)[0] is None


def test_newton_needs_few_rounds() -> None:
    rounds, _, loss = learning.newton_to_gap()
    assert rounds <= 10
    assert loss == pytest.approx(C2.optimal_loss(), rel=1e-9)


def test_loss_of_a_batch() -> None:
    x = np.random.default_rng(0).uniform(0, 2, (4, 100))
    np.testing.assert_allclose(ppo.joint_loss(x, 10.0, 0.1), [C2.loss(row) for row in x])


def quick_gradient(start, *, step):
    """Stands for the paper's gradient responses where a test is about PPO: twenty thousand checked rounds take long."""
    assert start.shape == (100,)
    assert step == 0.001
    return 41, 0.001, 0.1


def test_without_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(learning, "gradient_to_gap", quick_gradient)
    monkeypatch.setattr(ppo, "installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"hurwicz\[bench\]"):
        ppo.train(1.0)
    rows, _ = learning.c6(Context())
    skipped = [row for row in rows if "PPO reaches" in row.claim]
    assert len(skipped) == 2
    for row in skipped:
        assert row.ours is None
        assert row.agrees is None
        assert row.note.startswith("Skipped: stable-baselines3 is not installed (pip install 'hurwicz[bench]').")
    assert any(row.agrees for row in rows)  # the prices' own rows do not need it


def test_bad_box() -> None:
    with pytest.raises(InputError, match="time box > 0"):
        ppo.train(0.0)


def ticking(step: float):
    """A clock that goes on by ``step`` whenever it is read: a time box in updates, whatever the machine."""
    ticks = itertools.count()
    return lambda: step * next(ticks)


def test_a_small_problem_is_learnt() -> None:
    pytest.importorskip("stable_baselines3", reason=REASON)
    settings = ppo.PPOSettings(horizon=100_000)
    run = ppo.train(30.0, agents=3, target=2.0, weight=0.5, gap=0.01, seed=0, settings=settings, stop_at_gap=True, clock=ticking(0.01))
    best = 0.5 * 4.0 / 3.5
    assert run.curve[0, 2] == pytest.approx((3.0 - 2.0) ** 2 + 0.5 * 3.0, rel=0.05)  # starts at x = 1
    assert best < run.loss <= 1.01 * best
    assert run.samples_to_gap == run.samples > 0
    assert run.seconds_to_gap is not None
    assert np.all(np.diff(run.curve[:, 0]) > 0)


def test_the_box_is_kept() -> None:
    pytest.importorskip("stable_baselines3", reason=REASON)
    start = np.random.default_rng(1).uniform(0, 2, 100)
    run = ppo.train(2.0, start=start, seed=1, clock=ticking(0.02))
    assert run.curve[0, 2] == pytest.approx(C2.loss(start), rel=1e-5)
    assert 2.0 <= run.seconds <= 2.04 + 1e-9  # the box is closed at the first update after it
    assert run.loss < 0.5 * run.curve[0, 2]
    assert run.samples_to_gap is None
    assert run.samples % ppo.PPOSettings().environments == 0


def test_rows_with_ppo(monkeypatch) -> None:
    monkeypatch.setattr(learning, "gradient_to_gap", quick_gradient)
    pytest.importorskip("stable_baselines3", reason=REASON)
    rows, _ = learning.c6(Context(ppo_seconds=3.0))
    reached = [row for row in rows if "PPO reaches" in row.claim]
    assert len(reached) == 2
    assert all(isinstance(row.ours, float) and row.ours > row.truth for row in reached)
    assert all("samples" in row.note for row in reached)
    ratios = [row for row in rows if row.claim.startswith("PPO's time")]
    assert len(ratios) == 2
    assert all("at least" in row.note and row.ours > 1 for row in ratios)  # three seconds are not enough
    assert all(row.agrees is False for row in ratios)  # already a thousand times and more


def test_settings_with_hidden_layers_have_their_own_start() -> None:
    with pytest.raises(InputError, match="hidden layers"):
        ppo.train(1.0, start=np.ones(100), settings=ppo.LIBRARY_DEFAULTS)


def test_library_defaults_run() -> None:
    pytest.importorskip("stable_baselines3", reason=REASON)
    run = ppo.train(2.0, settings=ppo.LIBRARY_DEFAULTS, clock=ticking(0.5))
    assert run.samples >= 2048
    assert run.loss > C2.optimal_loss()
