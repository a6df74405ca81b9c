"""What `make proofs` shows of billing, in small."""

from __future__ import annotations

import time

import pytest

from billing import proof_adjustments, proof_months, proof_push


@pytest.mark.django_db
def test_6_5_pushes_are_undone_and_manual_edits_survive() -> None:
    held, figure = proof_push.undo_for_billing(runs=5)
    assert held, figure


@pytest.mark.django_db
def test_6_6_a_fleet_that_halves_and_a_feed_that_dies() -> None:
    held, figure = proof_push.quantity_guards(clients=6)
    assert held, figure


@pytest.mark.django_db
def test_6_4_causes_sum_and_leaks_are_named() -> None:
    held, figure = proof_months.reconciliation(histories=4, steps=6)
    assert held, figure


@pytest.mark.django_db
def test_6_15_a_closed_month_stays_as_it_is() -> None:
    held, figure = proof_months.evidence_packs(clients=3)
    assert held, figure


def test_an_autotask_adjustment_is_never_doubled() -> None:
    storm = proof_adjustments.storm(15, seed=4, start=time.time())
    assert storm.held, storm


@pytest.mark.django_db
def test_a_fleet_costs_one_read_a_client_and_one_write_a_changed_line() -> None:
    made, fewest = proof_push.calls_for_a_fleet(clients=10, services=5)
    assert made <= fewest * 1.1 + 2
