"""The health score: a sum of stated facts, each line able to lose, nobody else's facts in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import health
from alerts.models import Notification, Outage, TicketSettings, TicketTest, WebhookEndpoint
from billing.models import PushDay, PushRun, Usage
from integrations.models import Choice, ChoiceList, Credentials, Event, Lane
from portal import clients, clock
from tests import make
from tests.portal.test_pages import delivered, happened, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def well(world: make.World) -> make.World:
    """Everything as it should be: a hundred of a hundred."""
    reference = make.billing(world)
    Credentials.objects.update(test_passed=True, tested_at=clock.now())
    TicketTest.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        external_ref="test:1",
        state="passed",
        finished_at=clock.now(),
    )
    Usage.objects.create(
        partner=world.partner,
        client=world.client,
        service=reference.service,
        measured_on=clock.today_in(world.partner.time_zone),
        quantity=3,
    )
    return world


def lines(world: make.World) -> dict[str, health.Line]:
    return {line.key: line for line in health.of(world.partner).whole.lines}


def test_a_hundred_when_nothing_is_missing(well):
    found = health.of(well.partner).whole
    assert (found.percent, found.next, [line.key for line in found.lines if line.lost]) == (100, None, [])


def break_keys(world: make.World) -> None:
    Credentials.objects.update(test_passed=False)


def stop(world: make.World) -> None:
    Lane.objects.update(breaker="unreachable", breaker_text="No answer.")


def pause(world: make.World) -> None:
    Lane.objects.update(is_paused=True)


def block(world: make.World) -> None:
    Lane.objects.update(blocked={"ticket": "no right"})


def grow_old(world: make.World) -> None:
    Credentials.objects.update(tested_at=clock.now() - timedelta(days=31))


def add_client(world: make.World) -> None:
    clients.add_client(world.partner, name="New Client")


def let_options_age(world: make.World) -> None:
    ChoiceList.objects.update(read_at=clock.now() - timedelta(days=4))


def take_product_away(world: make.World) -> None:
    Choice.objects.filter(kind="product", psa_id="302").update(vanished_at=clock.now())


def take_company_away(world: make.World) -> None:
    Choice.objects.filter(kind="company", psa_id="250").update(vanished_at=clock.now())


def forget_settings(world: make.World) -> None:
    TicketSettings.objects.all().delete()


def fail(world: make.World) -> None:
    delivered(happened(world), world, error_text="Refused.")


def fail_test(world: make.World) -> None:
    TicketTest.objects.update(state="failed")


def wait(world: make.World) -> None:
    PushRun.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        agreement_id="401",
        digest="-",
        state="waiting",
    )


def miss_push_day(world: make.World) -> None:
    yesterday = clock.today_in(world.partner.time_zone) - timedelta(days=1)
    PushDay.objects.create(partner=world.partner, client=world.client, due_on=yesterday)


def starve(world: make.World) -> None:
    Usage.objects.update(measured_on=clock.now().date() - timedelta(days=60))


def black_out(world: make.World) -> None:
    Outage.objects.create(partner=world.partner, credentials=world.credentials, cause="unreachable")


def silence(world: make.World) -> None:
    Notification.objects.update(is_enabled=False)


def park(world: make.World) -> None:
    happened(world, client=None, state=Event.State.PARKED)


def break_webhook(world: make.World) -> None:
    WebhookEndpoint.objects.create(
        partner=world.partner, name="Chat", url="https://chat.example/", failures=3
    )


@pytest.mark.parametrize(
    ("harm", "key"),
    [
        (break_keys, "keys"),
        (stop, "answers"),
        (pause, "answers"),
        (block, "rights"),
        (grow_old, "verdicts"),
        (add_client, "mapping"),
        (let_options_age, "options"),
        (take_product_away, "gone"),
        (take_company_away, "gone"),
        (forget_settings, "tickets"),
        (fail, "deliveries"),
        (fail_test, "test_ticket"),
        (wait, "held"),
        (miss_push_day, "push_days"),
        (starve, "usage"),
        (black_out, "outages"),
        (silence, "rule"),
        (park, "parked"),
        (break_webhook, "webhooks"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_line_can_lose_and_only_it_does(well, harm, key):
    harm(well)
    found = health.of(well.partner).whole
    assert [line.key for line in found.lines if line.lost] == [key]
    assert (found.next.key, found.percent < 100, bool(found.next.step)) == (key, True, True)


def test_what_loses_most_is_the_next_best_step(well):
    grow_old(well)
    fail(well)
    silence(well)
    assert health.of(well.partner).whole.next.key == "rule"


def test_another_partners_troubles_cost_nothing(well, sandbox):
    other = make.world(sandbox, name="Tailspin IT", number=30001)
    fail(other)
    Lane.objects.filter(partner=other.partner).update(breaker="unreachable")
    clients.add_client(other.partner, name="Unmapped")
    assert health.of(well.partner).whole.percent == 100
    assert health.of(other.partner).whole.percent < 100


def test_a_partner_without_anything_is_led_to_the_set_up():
    found = health.of(make.partner("Fresh MSP")).whole
    assert (found.next.key, found.next.url) == ("connected", "/partnership/guide")


def test_the_dashboard_shows_score_and_next_step(well):
    silence(well)
    text = signed_in(make.user(well.partner)).get("/").content.decode()
    assert ("Next best step" in text, "Create a notification that opens tickets." in text) == (True, True)


def test_rest_tells_every_line(well):
    grow_old(well)
    answer = make.api(well.token).get("/api/v1/health").json()
    shown = {line["key"]: line for line in answer["connections"][0]["lines"]}
    assert (answer["score"], answer["next_step"]["key"]) == (97, "verdicts")
    assert (shown["verdicts"]["points"], shown["verdicts"]["weight"]) == (0.0, 5)
    total = [line for part in (answer, *answer["connections"]) for line in part["lines"]]
    points = sum(line["points"] for line in total if line["points"] is not None)
    most = sum(line["weight"] for line in total if line["points"] is not None)
    assert answer["score"] == int(points * 100 / most)


def test_a_vendor_wide_token_says_whose(well):
    vendor = make.api(make.token(None))
    assert vendor.get("/api/v1/health").json()["code"] == "partner_needed"
    assert vendor.get("/api/v1/health", {"partner": well.partner.slug}).json()["score"] == 100
    assert vendor.get("/api/v1/health", {"partner": "nobody"}).status_code == 400


def test_the_number_of_queries_is_the_same_for_more_of_everything(well, sandbox):
    def queries() -> Any:
        with CaptureQueriesContext(connection) as made:
            health.of(well.partner)
        return made

    def connect(number: int) -> None:
        client = clients.add_client(well.partner, name=f"Client {number}")
        row = Credentials.objects.create(
            partner=well.partner, client=client, site_url="x", kind="connectwise"
        )
        Lane.objects.create(partner=well.partner, credentials=row)
        fail(well)

    connect(0)
    before = queries()
    for number in range(1, 5):
        connect(number)
    after = queries()
    assert (len(after), len(before) <= 30) == (len(before), True), [row["sql"][:90] for row in after]
