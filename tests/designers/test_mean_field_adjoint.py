"""Designs by gradient: optima known in closed form, resumption, interruption, any optimiser."""

import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import FormatError, InputError, Status
from hurwicz.designers import DesignProblem, auction_problem, evaluate_design, falling_entropy, meanfield_adjoint, searching, zeroth_order
from hurwicz.designers.interruption import StoppedAgain
from hurwicz.designers.optimisers import fingerprint
from hurwicz.meanfield import BatchedAuction, TableRule, auction_setting, exploitability

SMALL = BatchedAuction(rounds=2, supply=0.8, grid=6)


@functools.cache
def table_problem():
    return auction_problem(SMALL, TableRule(6), tau=0.05, iterations=40, rate=5.0)


@pytest.mark.parametrize("differentiate", ["unrolled", "checkpointed", "implicit"])
def test_the_price_of_a_monopoly_is_found(monopoly, differentiate):
    problem, price, revenue = monopoly()
    found = meanfield_adjoint(problem, steps=300, differentiate=differentiate, optimiser=optax.sgd(0.2), tolerance=1e-7)
    assert found.status is Status.STATIONARY_POINT
    assert float(found.value.theta) == pytest.approx(price, abs=1e-5)
    assert found.value.objective == pytest.approx(revenue, abs=1e-9)
    assert found.value.exploitability < 1e-9
    assert found.value.objective == pytest.approx(found.value.history.max(), abs=1e-12)


def test_the_toll_that_makes_traffic_least_delayed_is_found(pigou):
    for tau in (0.1, 0.3):
        found = meanfield_adjoint(pigou(tau), steps=200, optimiser=optax.adam(optax.cosine_decay_schedule(0.1, 200)))
        assert float(found.value.theta["toll"]) == pytest.approx(0.5, abs=1e-4)
        assert found.value.objective == pytest.approx(-0.75, abs=1e-7)


def test_a_schedule_of_entropy_and_smoothing_do_not_move_the_optimum_of_a_smooth_problem(monopoly):
    problem, price, revenue = monopoly()
    optimiser = optax.adam(optax.cosine_decay_schedule(0.05, 150))
    schedule = falling_entropy(5.0 * problem.tau, problem.tau, steps=150, settled=0.5)
    found = meanfield_adjoint(problem, steps=150, optimiser=optimiser, entropy=schedule)
    assert float(found.value.theta) == pytest.approx(price, abs=1e-3)
    assert found.value.objective == pytest.approx(revenue, abs=1e-6)
    smoothed = meanfield_adjoint(problem, steps=150, optimiser=optimiser, smoothing=0.02, samples=1)
    assert float(smoothed.value.theta) == pytest.approx(price, abs=5e-3)


def test_the_gradient_is_at_the_schedules_entropy_and_the_value_at_the_problems(monopoly):
    problem, price, _ = monopoly()
    _, dear, _ = monopoly(tau=5.0 * problem.tau)
    found = meanfield_adjoint(problem, steps=2, start=jnp.asarray(dear + 1e-6), entropy=lambda k: 5.0 * problem.tau, tolerance=1e-5)
    assert found.stats["steps"] == 1  # no slope there, where the problem's own tau has a steep one
    assert dear > price + 0.5
    assert found.value.objective == pytest.approx(dear / (1.0 + np.exp((dear - 1.0) / problem.tau)), abs=1e-6)


def test_smoothing_is_the_mean_slope_about_theta(one_state):
    game = one_state("wave", lambda h, flow, theta: jnp.zeros((1, 2)))
    wave = DesignProblem(
        name="wave",
        game=game,
        objective=lambda theta, flow: jnp.cos(theta),
        tau=1.0,
        start=lambda key: jnp.asarray(1.0),
        iterations=1,
        rate=1.0,
    )
    for radius, slope, slack in ((0.0, -np.sin(1.0), 1e-9), (1.0, -np.sin(1.0) * np.exp(-0.5), 0.1)):
        history = meanfield_adjoint(wave, steps=2, optimiser=optax.sgd(0.1), smoothing=radius, samples=100).value.history
        assert (np.arccos(history[1]) - 1.0) / 0.1 == pytest.approx(slope, abs=slack)


def test_a_start_that_is_not_bettered_is_evaluated_once(monopoly, monkeypatch):
    asked = []

    def evaluated(problem, theta, **rest):
        asked.append(theta)
        return evaluate_design(problem, theta, **rest)

    monkeypatch.setattr(searching, "evaluate_design", evaluated)
    assert float(meanfield_adjoint(monopoly()[0], steps=1).value.theta) == 0.3
    assert len(asked) == 1


def test_on_a_staircase_the_gradient_is_right_and_useless_and_values_lead_on(one_state):
    # steps of 1/10 down which the slope leads, on a hill that rises to 1: what a fine grid does to revenue at a small tau
    def worth(theta, flow):
        return -((theta - 1.0) ** 2) - 0.5 * (theta - jnp.round(theta * 10.0) / 10.0)

    game = one_state("staircase", lambda h, flow, theta: jnp.zeros((1, 2)))
    problem = DesignProblem(
        name="staircase", game=game, objective=worth, tau=1.0, start=lambda key: jnp.asarray(0.8), iterations=1, rate=1.0
    )
    slope = float(jax.grad(worth)(jnp.asarray(0.8), None))
    assert slope < 0.0 < worth(1.0, None) - worth(0.8, None)
    plain = meanfield_adjoint(problem, steps=60, optimiser=optax.sgd(0.02))
    assert plain.value.objective < worth(0.8, None) + 0.02
    # a mean of slopes is as blind to a jump as one of them; differences of values see it
    seen = zeroth_order(problem, method="adam", steps=60, learning_rate=0.02, radius=0.15, directions=4)
    assert float(seen.value.theta) == pytest.approx(1.0, abs=0.06)


def test_entropy_falls_to_its_end_and_stays_there():
    schedule = falling_entropy(0.1, 0.001, steps=100, settled=0.2)
    taus = [schedule(k) for k in range(100)]
    assert taus[0] == 0.1
    assert taus[40] == pytest.approx(0.01)  # half of the way, in the geometric mean
    assert all(a > b for a, b in itertools.pairwise(taus[:81]))
    assert set(taus[80:]) == {0.001}
    for change, message in (({"start": 0.0}, "entropy > 0"), ({"steps": 0}, "steps >= 1"), ({"settled": 1.0}, "settled in")):
        with pytest.raises(InputError, match=message):
            falling_entropy(**{"start": 0.1, "end": 0.01, "steps": 10, **change})


OPTIMISERS = {
    "sgd": lambda: optax.sgd(0.5),
    "adamw": lambda: optax.adamw(0.1, weight_decay=0.0),
    "lion": lambda: optax.lion(optax.cosine_decay_schedule(0.05, 30), weight_decay=0.0),
    "lbfgs": optax.lbfgs,
    "polyak": lambda: optax.polyak_sgd(f_min=0.75),  # the least delay, which is known here
    "plateau": lambda: optax.chain(optax.adam(0.05), optax.contrib.reduce_on_plateau(patience=5)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_any_optimiser_of_optax_finds_the_toll(name, pigou):
    """Those that ask for the loss, its slope and its function as well as those that do not."""
    found = meanfield_adjoint(pigou(), steps=30, optimiser=OPTIMISERS[name](), differentiate="implicit").value
    assert float(found.theta["toll"]) == pytest.approx(0.5, abs=0.02)
    assert found.objective == pytest.approx(-0.75, abs=1e-3)


def test_optimisers_are_told_apart_by_all_they_were_made_with():
    alike = [optax.adam(0.1), optax.adam(0.1)]
    others = [
        optax.adam(0.2),
        optax.adam(0.1, b1=0.8),
        optax.adam(optax.cosine_decay_schedule(0.1, 10)),
        optax.adam(optax.cosine_decay_schedule(0.1, 11)),
        optax.adam(lambda k: 0.1 * 0.9**k),
        optax.adam(lambda k: 0.1 * 0.8**k),
        optax.adabelief(0.1),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
        optax.lbfgs(),
        optax.lbfgs(memory_size=5),
        optax.scale_by_schedule(lambda k: jnp.linspace(0.0, 1.0, 500)[k]),
        optax.scale_by_schedule(lambda k: jnp.linspace(0.0, 2.0, 500)[k]),
        optax.partition({"a": optax.adam(0.3)}, {"price": "a"}),
        optax.partition({"a": optax.sgd(0.1)}, {"price": "a"}),
    ]
    theta = {"price": jnp.zeros(2)}
    assert len({fingerprint(optimiser, theta) for optimiser in alike}) == 1
    assert len({fingerprint(optimiser, theta) for optimiser in [alike[0], *others]}) == 1 + len(others)


def test_who_asks_is_told_every_theta_that_was_measured(pigou):
    visits = {}
    found = meanfield_adjoint(pigou(), steps=4, optimiser=optax.adam(0.1), visited=visits.__setitem__).value
    assert list(visits) == [1, 2, 3, 4]
    worth = [float(evaluate_design(pigou(), theta, most=1).objective) for theta in visits.values()]
    assert worth == pytest.approx(found.history.tolist(), abs=1e-12)


def test_a_run_goes_on_with_its_own_optimiser_only(pigou, tmp_path):
    path = tmp_path / "run.npz"
    meanfield_adjoint(pigou(), steps=2, optimiser=optax.adam(0.1), checkpoint=path)
    again = meanfield_adjoint(pigou(), steps=3, optimiser=optax.adam(0.1), checkpoint=path, resume=True)
    assert again.stats["steps"] == 3
    with pytest.raises(InputError, match=r"an optimiser of one's own, [0-9a-f]{16}"):
        meanfield_adjoint(pigou(), steps=4, optimiser=optax.adam(0.2), checkpoint=path, resume=True)


def test_ctrl_c_before_the_first_step_and_again_while_winding_up_raise(pigou, tmp_path, monkeypatch):
    def at_once(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(searching, "_advanced", at_once)
        with pytest.raises(KeyboardInterrupt) as raised:
            meanfield_adjoint(pigou(), steps=3)
        assert not isinstance(raised.value, StoppedAgain)
    pressed, evaluate = [], searching.evaluate_design

    def stop(step, steps, best):
        if step == 2:
            raise KeyboardInterrupt

    def impatient(*arguments, **options):
        pressed.append(1)
        if len(pressed) == 1:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    path = tmp_path / "run.npz"
    monkeypatch.setattr(searching, "evaluate_design", impatient)
    with pytest.raises(StoppedAgain):
        meanfield_adjoint(pigou(), steps=3, checkpoint=path, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    assert meanfield_adjoint(pigou(), steps=3, checkpoint=path, resume=True).stats["steps"] == 3
    pressed.clear()  # pressed once only, while what was found is evaluated: it is evaluated all the same
    solution = meanfield_adjoint(pigou(), steps=3)
    assert solution.stats["interrupted"]
    assert solution.stats["steps"] == 3


def test_the_best_iterate_is_kept(monopoly):
    problem, _, _ = monopoly(start=0.7)
    found = meanfield_adjoint(problem, steps=12, optimiser=optax.sgd(40.0))  # far too long a step
    history = found.value.history
    assert history[-1] < history.max() - 1e-3
    assert found.value.objective == pytest.approx(history.max(), abs=1e-9)
    assert found.stats["evaluated"] == history.max()


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    problem, path = table_problem(), tmp_path / "run" / "design.npz"
    whole = meanfield_adjoint(problem, steps=9, seed=3)

    def stop(step, steps, best):
        if step == 4:
            raise KeyboardInterrupt

    broken = meanfield_adjoint(problem, steps=9, seed=3, checkpoint=path, every=3, progress=stop)
    assert broken.stats["interrupted"]
    assert broken.stats["steps"] == 4
    assert broken.value.objective <= whole.value.objective
    assert [p.name for p in path.parent.iterdir()] == ["design.npz"]  # nothing half-written beside it
    resumed = meanfield_adjoint(problem, steps=9, seed=3, checkpoint=path, resume=True)
    assert not resumed.stats["interrupted"]
    assert np.array_equal(resumed.value.history, whole.value.history)
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (resumed.value.theta, whole.value.theta)), strict=True))
    again = meanfield_adjoint(problem, steps=9, seed=3, checkpoint=path, resume=True)  # nothing is left to do
    assert np.array_equal(again.value.history, whole.value.history)
    with pytest.raises(InputError, match="seed 3 there and 4 here"):
        meanfield_adjoint(problem, steps=9, seed=4, checkpoint=path, resume=True)
    with pytest.raises(InputError, match="another run"):
        meanfield_adjoint(problem, steps=10, seed=3, checkpoint=path, resume=True)  # another schedule
    with pytest.raises(InputError, match="another theta or optimiser"):
        meanfield_adjoint(problem, steps=9, seed=3, checkpoint=path, resume=True, optimiser=optax.sgd(0.1))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match="damaged"):
        meanfield_adjoint(problem, steps=9, seed=3, checkpoint=path, resume=True)
    with pytest.raises(InputError, match="checkpoint file"):
        meanfield_adjoint(problem, steps=9, resume=True)


def test_what_only_looked_better_before_it_settled_does_not_replace_the_start(one_state):
    game = one_state("roads", lambda h, flow, theta: jnp.stack([-flow[0, 0] - theta, -3.0 * flow[0, 1]])[None])
    options = {"name": "roads", "game": game, "tau": 0.1, "start": lambda key: jnp.asarray(-0.5), "rate": 0.05}
    settled = DesignProblem(objective=lambda theta, flow: flow[0, 0, 0], iterations=400, **options)
    share = evaluate_design(settled, jnp.asarray(-0.5), tolerance=1e-12).objective
    # 20 iterations cannot tell that the start has the wanted share already: the search leaves it for what has it after 20
    hasty = DesignProblem(objective=lambda theta, flow: -((flow[0, 0, 0] - share) ** 2), iterations=20, **options)
    found = meanfield_adjoint(hasty, steps=20, optimiser=optax.adam(0.05))
    assert found.stats["evaluated"] > found.value.history[0] + 1e-3
    assert float(found.value.theta) == -0.5


def test_seeds_are_their_own_runs(pigou):
    one, same, other = (meanfield_adjoint(pigou(), steps=2, seed=s).value for s in (1, 1, 2))
    assert np.array_equal(one.history, same.history)
    assert one.history[0] != other.history[0]


def test_a_float32_program_designs_in_float64(monopoly):
    problem, _, _ = monopoly()
    with jax.enable_x64(False):
        found = meanfield_adjoint(problem, steps=3, start=jnp.asarray(0.3, jnp.float32))
        assert jnp.zeros(()).dtype == jnp.float32  # the program's own setting is as it was
    assert found.value.theta.dtype == np.float64
    assert found.value.policy.dtype == np.float64


def test_evaluation_says_how_far_from_the_equilibrium_it_is():
    problem = table_problem()
    theta = TableRule(6).init(jax.random.key(0), 2)
    design = evaluate_design(problem, theta)
    assert design.exploitability == pytest.approx(float(exploitability(problem.game, jnp.asarray(design.policy), theta, 0.05)), abs=1e-12)
    assert design.exploitability <= 1e-5
    assert design.objective == pytest.approx(float(SMALL.revenue(TableRule(6), jnp.asarray(design.flow), theta)), abs=1e-12)


def test_objectives_mix():
    theta, rule = TableRule(6).init(jax.random.key(1), 2), TableRule(6)
    flow = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(42), size=2).reshape(2, 7, 6))
    one = {o: float(auction_problem(SMALL, rule, objective=o).objective(theta, flow)) for o in ("revenue", "welfare")}
    assert one["revenue"] == float(SMALL.revenue(rule, flow, theta)) != one["welfare"]
    both = auction_problem(SMALL, rule, objective={"revenue": 1.0, "welfare": 0.5})
    assert float(both.objective(theta, flow)) == pytest.approx(one["revenue"] + 0.5 * one["welfare"], abs=1e-12)
    a9 = auction_problem(auction_setting("A9", grid=6, rounds=2), rule)
    assert float(a9.objective(theta, flow)) == pytest.approx(one["revenue"] + one["welfare"], abs=1e-12)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31 - 1), size=st.floats(0.1, 30.0))
def test_whatever_is_learned_is_feasible_and_monotone(seed, size):
    rng = np.random.default_rng(seed)
    shapes = {"steps": (2, 5), "share": (2,), "asks": (2, 6)}
    theta = {name: jnp.asarray(size * rng.normal(size=shape)) for name, shape in shapes.items()}
    flow = rng.dirichlet(np.full(42, 0.3), size=2).reshape(2, 7, 6)
    left = 0.8
    for h in range(2):
        bids = jnp.asarray(flow[h, :6].sum(axis=0))
        sale = TableRule(6).sell(h, bids, jnp.asarray(left), theta)
        assert 0.0 <= float(sale.quantity) <= left
        assert np.all(np.diff(sale.prices) >= 0.0)
        assert np.all(np.asarray(sale.prices) <= np.arange(6) / 6 + 1e-12)
        left -= float(sale.quantity)


def test_a_checkpoint_says_what_it_is(tmp_path, monopoly):
    path = tmp_path / "design.npz"
    meanfield_adjoint(monopoly()[0], steps=2, checkpoint=path)
    with np.load(path) as held:
        meta = json.loads(str(held["described"]))
    assert meta["done"] == 2
    assert meta["run"]["problem"] == "monopoly"
    assert len(meta["history"]) == 2
