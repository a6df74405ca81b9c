"""What `make proofs` shows of observe mode, in small."""

from __future__ import annotations

import pytest

from alerts.proving import observed


@pytest.mark.django_db(transaction=True)
def test_6_1_what_observe_mode_plans_is_what_live_mode_sends_for_tickets_lines_and_statistics() -> None:
    tally = observed.run(events=150, clients=4)
    assert tally.held, tally
    assert tally.wire > 20
