"""No secret leaves the adapter: not in what is logged, planned, raised or shown."""

from __future__ import annotations

import base64

import pytest

from integrations.psa.errors import PsaError
from tests.contract.houses import TROUBLES, House, Trouble


def leaks(house: House, *shown: object) -> list[str]:
    text = "\n".join(str(one) for one in shown)
    secrets = [*house.secrets, *(base64.b64encode(one.encode()).decode() for one in house.secrets)]
    return [secret for secret in secrets if secret in text]


def test_plans_answers_and_exchanges_hold_no_secret(house: House) -> None:
    opened = house.opened()
    plan = house.psa.plan_ticket(house.over(opened))
    applied = house.psa.apply(plan)
    house.psa.check(["tickets", "billing"])
    assert leaks(house, repr(house.psa), vars(house.psa), plan.as_json(), applied, plan.digest) == []
    assert leaks(house, *house.exchanges) == []
    assert house.exchanges or house.kind == "fake"


@pytest.mark.parametrize("what", TROUBLES)
def test_errors_hold_no_secret(what: Trouble, house: House) -> None:
    plan = house.psa.plan_ticket(house.wanted())
    house.trouble(what, at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    error = caught.value
    assert leaks(house, str(error), repr(error), error.advice, error.text, error.__cause__, vars(error)) == []
    assert leaks(house, *house.exchanges) == []


def test_a_refused_sign_in_does_not_tell_the_keys(house: House) -> None:
    house.rotate_keys()
    with pytest.raises(PsaError) as caught:
        house.psa.find_tickets("portal:17")
    assert leaks(house, str(caught.value), caught.value.advice, repr(caught.value), *house.exchanges) == []
