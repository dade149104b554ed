"""One suite over every mechanism of the library: feasible, what it says of itself stands, batch equals loop, bad input refused."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz import mechanisms
from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit, replay
from hurwicz.mechanisms import check_reports, make, registry
from hurwicz.settings import PROPERTIES

NAMES = sorted(registry())
EFFORT = Effort(profiles=60, deviations=13, refinements=2, steps=20, seconds=30.0, max_nodes=512, samples=512, max_exhaustive=200_000)
ROUNDING = 1e-9

# Properties that a mechanism says it lacks and that the quick audit of the smallest instance cannot show, and why.
BEYOND_THE_QUICK_AUDIT: dict[tuple[str, str], str] = {}


@functools.cache
def made(name: str, more: int = 0) -> Any:
    """The mechanism for its fewest agents and ``more``, or for the most that it takes."""
    entry = registry()[name]
    return make(name, min(entry.least + more, entry.most or entry.least + more))


def judged(name: str) -> Any:
    """The mechanism for as few agents as its claims are about: two, or the fewest that it takes."""
    return made(name, max(0, 2 - registry()[name].least))


def drawn(mechanism: Any, count: int, seed: int = 0) -> dict[str, Any]:
    """Profiles from the prior, then from the type spaces (all of them, whatever the prior thinks likely)."""
    rng = np.random.default_rng(seed)
    prior = mechanism.prior.sample(rng, count)
    return {name: np.concatenate([prior[name], mechanism.type_spaces[name].sample(rng, count)]) for name in mechanism.agents}


def tied(mechanism: Any) -> dict[str, Any]:
    """Profiles where everybody has the lowest, the middle and the highest type: ties everywhere, goods that nobody or everybody wants."""
    spaces = mechanism.type_spaces
    grids = {name: spaces[name].grid(3) for name in mechanism.agents}
    rows = {name: [0, len(grid) // 2, len(grid) - 1] for name, grid in grids.items()}
    return {name: grids[name][rows[name]] for name in mechanism.agents}


def row(profiles: Mapping[str, Any], k: int) -> dict[str, Any]:
    """One profile of a batch."""
    return {name: values[k] for name, values in profiles.items()}


def over(mechanism: Any, outcomes: Any) -> Any:
    """How much more is allocated than there is."""
    matrix = getattr(mechanism, "matrix", None)
    return mechanism.excess(matrix(outcomes.allocation) if matrix is not None else outcomes.allocation)


def test_the_registry_is_not_empty() -> None:
    assert {"first_price", "second_price"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str) -> None:
    entry, mechanism = registry()[name], made(name)
    assert entry.summary.endswith(".")
    assert mechanism.formula
    assert mechanism.source
    assert mechanism.guarantees, "a mechanism says what it guarantees, and what not"
    for claim in mechanism.guarantees:
        assert claim.source, claim
        assert claim.holds or claim.when or claim.source
    assert len(mechanism.agents) == entry.least
    assert set(mechanism.type_spaces) == set(mechanism.agents)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_no_more_is_allocated_than_there_is(name: str, more: int) -> None:
    mechanism = made(name, more)
    for profiles in (drawn(mechanism, 50), tied(mechanism)):
        outcomes = mechanism.outcomes(profiles)
        for agent in mechanism.agents:
            assert np.isfinite(outcomes.payments[agent]).all()
            assert np.isfinite(outcomes.allocation[agent]).all()
        if mechanism.excess is not None:
            assert over(mechanism, outcomes).max() <= ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_a_loop(name: str) -> None:
    mechanism = made(name, 1)
    profiles = {agent: np.concatenate([a, b]) for (agent, a), b in zip(drawn(mechanism, 3).items(), tied(mechanism).values(), strict=True)}
    batch = mechanism.outcomes(profiles)
    for k in range(len(profiles[mechanism.agents[0]])):
        one = mechanism.outcome(row(profiles, k))
        for agent in mechanism.agents:
            np.testing.assert_allclose(batch.allocation[agent][k], one.allocation[agent], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(batch.payments[agent][k], one.payments[agent], rtol=1e-9, atol=1e-12)
            assert mechanism.values(agent, batch, profiles[agent])[k] == pytest.approx(mechanism.value(agent, one, profiles[agent][k]))
        assert mechanism.welfares(batch, profiles)[k] == pytest.approx(mechanism.welfare(one, row(profiles, k)))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says_of_itself_stands_before_the_auditor(name: str) -> None:
    mechanism = judged(name)
    says = {p: [c for c in mechanism.guarantees if c.property == p] for p in PROPERTIES}
    asked = [p for p, claims in says.items() if claims]
    assert asked, "a mechanism with nothing that the auditor knows"
    for finding in audit(mechanism, asked, effort=EFFORT):
        claims = says[finding.property]
        if any(claim.holds for claim in claims):
            assert finding.verdict is not Verdict.REFUTED, f"{finding.property} is claimed; {finding.reason}; {finding.witness}"
        elif (name, finding.property) in BEYOND_THE_QUICK_AUDIT:
            assert finding.verdict is not Verdict.REFUTED, "no longer beyond the quick audit: take it off the list"
        else:
            assert finding.verdict is Verdict.REFUTED, f"{finding.property} is said not to hold; {finding.reason}"
            assert finding.witness is not None
            assert replay(mechanism, finding) == pytest.approx(finding.witness.gain)


FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES if getattr(made(name), "form", None) is not None),
    ("second_price", {"reserve": 0.4}),
    ("uniform_price", {"reserve": 0.3}),
    ("multi_unit_vickrey", {"reserve": 0.3}),
    ("position_vcg", {"reserve": 0.3}),
    ("second_price_procurement", {"value": 0.8, "ceiling": 0.5}),
    ("combinatorial_affine_maximiser", {"reserve": 0.2}),
]


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_a_declared_form_stands_before_the_auditor_and_proves(name: str, options: dict[str, Any]) -> None:
    mechanism = make(name, max(2, registry()[name].least), **options)
    (finding,) = audit(mechanism, ["DSIC"], effort=EFFORT)
    assert finding.verdict is Verdict.PROVED, finding.reason
    assert finding.method.startswith("by form")


def test_a_form_that_is_wrongly_declared_proves_nothing() -> None:
    """Controls: pay your bid; a reserve that the form leaves out; a payment that moves a little with the own report."""
    import dataclasses

    from hurwicz.mechanisms import first_price, second_price

    reserved = dataclasses.replace(second_price(2, reserve=0.4), form=second_price(2).form)
    honest = second_price(2)
    bent = dataclasses.replace(honest, rule=lambda bids: (honest.rule(bids)[0], honest.rule(bids)[1] + 1e-3 * bids * honest.rule(bids)[0]))
    for mechanism in (first_price(2).in_groves_form(), reserved, bent):
        (finding,) = audit(mechanism, ["DSIC"], effort=EFFORT)
        assert finding.verdict is not Verdict.PROVED, finding.reason


def test_reserves_that_differ_are_no_affine_maximiser() -> None:
    from hurwicz.mechanisms import second_price

    assert second_price(["ann", "bob"], reserve={"ann": 0.2, "bob": 0.5}).form is None
    assert second_price(["ann", "bob"], reserve={"ann": 0.3, "bob": 0.3}).form is not None


@pytest.mark.parametrize("name", NAMES)
def test_bad_reports_are_refused_in_one_line(name: str) -> None:
    mechanism = made(name)
    truth = row(drawn(mechanism, 1), 0)
    first, last = mechanism.agents[0], mechanism.agents[-1]
    top = np.max(mechanism.type_spaces[last].grid(2), axis=0)
    wrong: list[dict[str, Any]] = [
        {**truth, last: np.full_like(np.asarray(truth[last], dtype=float), np.nan)},
        {**truth, last: np.asarray(top) * 2.0 + 1.0},
        {**truth, last: -np.abs(np.asarray(top)) - 1.0},
        {**truth, last: "a lot"},
        {agent: value for agent, value in truth.items() if agent != first},
        {**truth, "nobody": truth[first]},
    ]
    for reports in wrong:
        with pytest.raises(InputError) as refused:
            mechanism.outcome(reports)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_no_agents_names_given_twice_and_unknown_options_are_refused(name: str) -> None:
    entry = registry()[name]
    with pytest.raises(InputError):
        make(name, ["ann"] * max(2, entry.least))
    with pytest.raises(InputError):
        make(name, 0)
    with pytest.raises(InputError, match="unknown options"):
        make(name, entry.least, colour="blue")


@pytest.mark.parametrize("name", NAMES)
def test_agents_may_be_named(name: str) -> None:
    names = ["ann", "bob", "cem", "dee", "eva"][: registry()[name].least]
    assert list(make(name, names).agents) == names


@pytest.mark.parametrize("name", NAMES)
def test_the_page_on_which_to_use_lists_it(name: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "which-mechanism.md").read_text(encoding="utf-8")
    _, table = page.split("<!-- verdicts begin -->")
    assert f"| `{name}` |" in table, "run python docs/tables.py"
    assert registry()[name].family in ("single item", "several units", "combinatorial", "trade", "tasks", "general")


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ([0.5, 0.2], "expected reports by agent"),
        ({"bidder 1": 0.5, 2: 0.2, "x": 0.1}, r"missing \['bidder 2'\], unknown \[2, 'x'\]"),
    ],
)
def test_reports_that_are_not_by_agent_are_refused_in_words(reports: Any, message: str) -> None:
    unchecked = inspect.unwrap(check_reports)  # as a program calls it, without the tests' checks of types
    with pytest.raises(InputError, match=message):
        unchecked("second price", made("second_price", 1).type_spaces, reports)


def test_what_the_table_of_choices_names_can_be_imported_and_audited_by_that_name() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "which-mechanism.md").read_text(encoding="utf-8")
    table = page.split("## By what you have")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert len(named) > 40
    assert named <= set(NAMES)
    assert set(NAMES) <= set(mechanisms.__all__)


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_no_single_item_is_given_twice_whatever_the_bids(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([n for n in NAMES if registry()[n].family == "single item"]))
    mechanism = made(name, 1)
    spaces = mechanism.type_spaces
    shares = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    profile = {agent: np.asarray([np.interp(data.draw(shares), [0, 1], spaces[agent].grid(2))]) for agent in mechanism.agents}
    outcomes = mechanism.outcomes(profile)
    assert over(mechanism, outcomes).max() <= ROUNDING


def test_a_mechanism_that_allocates_too_much_is_seen() -> None:
    """The control: two winners of one item."""
    from hurwicz.mechanisms import single_parameter

    everybody = single_parameter("everybody wins", lambda b: (np.ones_like(b), 0 * b), 2, excess=lambda x: x.sum(axis=1) - 1.0)
    assert over(everybody, everybody.outcomes(tied(everybody))).max() == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_property_of_the_auditor_s_is_named_as_the_auditor_does(name: str) -> None:
    spelled = {known.casefold().replace("_", ""): known for known in PROPERTIES}
    for claim in made(name).guarantees:
        known = spelled.get(claim.property.casefold().replace("_", "").replace(" ", "").replace("-", ""))
        assert known is None or known == claim.property, f"{claim.property} is {known} before the auditor"
