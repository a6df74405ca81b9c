"""A write without an answer may be carried out late: nothing more is sent until that is sure, whatever befalls us."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction

from billing import synchronize
from billing.models import AgreementLink, CrossReference, PushItem, PushRun, Service, SynchronizeWindow
from integrations import connections
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery, Lane, Status
from integrations.psa.autotask.adjustments import SETTLED_AFTER
from integrations.sandbox import Sandbox, running_sandbox
from portal import clock
from portal.models import Client
from tests import make

ADJUSTMENTS = "ServiceAdjustments$"
ADDITIONS = "additions$"


@dataclass
class AutotaskWorld:
    """Bakery Ott's servers are billed on contract 401, which says 2."""

    sandbox: Sandbox
    client: Client
    token: str

    def use(self, quantity: int) -> None:
        assert make.api(self.token).post("/api/v1/usage", word(quantity)).status_code == 202

    def changes(self) -> list[int]:
        return [row["unitChange"] for row in self.sandbox.control.get("adjustments", contract="401")]


@pytest.fixture
def autotask(transactional_db: None) -> Iterator[AutotaskWorld]:
    with running_sandbox(kind="autotask") as sandbox:
        world = make.autotask_world(sandbox)
        partner, client, credentials = world.partner, world.client, world.credentials
        agreement = credentials.choices.get(kind="agreement", psa_id="401")
        product = credentials.choices.get(kind="product", psa_id="302")
        service = Service.objects.get(key="online-backup-servers")
        AgreementLink.objects.create(
            partner=partner, client=client, credentials=credentials, agreement=agreement
        )
        CrossReference.objects.create(
            partner=partner, organization=world.organization, service=service, product=product
        )
        yield AutotaskWorld(sandbox, client, world.token)


def word(quantity: int) -> dict[str, Any]:
    today = clock.now().date().isoformat()
    return {
        "client": 19652,
        "service": "online-backup-servers",
        "quantity": quantity,
        "measured_on": today,
    }


def pass_time(seconds: float) -> None:
    """What was sent, was sent so much earlier; what waits is due."""
    for run in PushRun.objects.exclude(sent_at=None):
        PushRun.objects.filter(pk=run.pk).update(sent_at=run.sent_at - timedelta(seconds=seconds))
    for lane in Lane.objects.all():
        lane.facts = [
            [*key, older(value, seconds) if key[0] == "units" else value] for *key, value in lane.facts
        ]
        lane.save()
    Delivery.objects.filter(status=Status.WAITING).update(due_at=clock.now())


def older(doubt: str, seconds: float) -> str:
    kept = json.loads(doubt)
    return json.dumps({**kept, "at": kept["at"] - seconds})


def posts(sandbox: Sandbox, path: str) -> int:
    """How many creates have reached the PSA, answered or not."""
    return len(
        [row for row in sandbox.control.requests() if row["method"] == "POST" and row["path"].endswith(path)]
    )


def begin(until: Callable[[], bool]) -> Dispatcher:
    """A dispatcher that is in the middle of an attempt."""
    dispatcher = Dispatcher()
    dispatcher.claim_round()
    ends_at = time.monotonic() + 10
    while not until():
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return dispatcher


@pytest.mark.parametrize("what", ["late_commit", "drop"])
def test_units_are_not_sent_again_by_the_next_process_before_it_is_sure_what_became_of_them(
    autotask: AutotaskWorld, drain: Any, what: str
) -> None:
    autotask.sandbox.control.fault(what, method="POST", path=ADJUSTMENTS, times=1)
    autotask.use(5)
    drain()
    assert synchronize.request(autotask.client, cause="button", at_once=True) is None
    drain()
    delivery, run = Delivery.objects.get(), PushRun.objects.get()
    assert (delivery.status, delivery.reason, run.state) == (Status.WAITING, "unsettled", "in_doubt")
    assert delivery.due_at > clock.now() + timedelta(seconds=SETTLED_AFTER * 0.7)
    assert [fact[0] for fact in Lane.objects.get().facts].count("units") == 1
    assert posts(autotask.sandbox, "ServiceAdjustments") == 1
    assert not SynchronizeWindow.objects.exists(), "nothing has succeeded yet"
    autotask.sandbox.settle()
    pass_time(SETTLED_AFTER + 5)
    drain()
    assert autotask.changes() == [3]
    assert Delivery.objects.get().status == Status.DONE
    assert not PushRun.objects.exclude(sent_at=None).exists()


def test_an_adjustment_that_was_on_the_wire_when_its_process_died_is_not_sent_again(
    autotask: AutotaskWorld, drain: Any
) -> None:
    autotask.sandbox.control.fault("late_commit", method="POST", path=ADJUSTMENTS, times=1, delay=0.5, hold=4)
    autotask.use(5)
    dead = begin(lambda: posts(autotask.sandbox, "ServiceAdjustments") == 1)
    Lane.objects.update(held_until=clock.now() - timedelta(seconds=1))
    drain()
    run, item = PushRun.objects.get(), PushItem.objects.get()
    assert (run.state, item.state) == ("in_doubt", "in_doubt"), "it is not planned for ever"
    autotask.sandbox.settle()
    pass_time(SETTLED_AFTER + 5)
    drain()
    assert autotask.changes() == [3]
    assert "quantity" not in PushItem.objects.latest("id").after
    dead.stop()
    dead.drain()


def test_units_that_another_push_left_in_doubt_are_no_success(autotask: AutotaskWorld, drain: Any) -> None:
    [lane] = Lane.objects.all()
    with connections.psa_for(lane.credentials) as psa:
        [line] = [row.id for row in psa.lines("401") if row.product_id == "302"]
    doubt = {"before": "2", "after": "9", "on": clock.now().date().isoformat(), "at": time.time()}
    lane.facts = [*lane.facts, ["units", "401", f"line {line}", json.dumps(doubt)]]
    lane.save()
    autotask.use(5)
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == (Status.WAITING, "unsettled")
    assert (autotask.changes(), SynchronizeWindow.objects.count()) == ([], 0)


@pytest.fixture
def world(live_world: make.World) -> make.World:
    """Missing lines are added, and the product has none yet."""
    make.billing(live_world, product="304")
    AgreementLink.objects.update(creates_lines=True)
    return live_world


def lines(world: make.World) -> list[float]:
    [agreement] = world.sandbox.control.agreements(id=401)
    return [row["quantity"] for row in agreement["additions"] if row["product"]["id"] == 304]


@pytest.mark.parametrize("what", ["late_commit", "drop", "commit_then_drop"])
def test_a_line_whose_creation_got_no_answer_is_not_created_twice(
    world: make.World, drain: Any, settings: Any, what: str
) -> None:
    world.sandbox.control.fault(what, method="POST", path=ADDITIONS, times=1)
    make.api(world.token).post("/api/v1/usage", word(5))
    drain()
    unsure = settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS)
    assert PushRun.objects.get().state == "in_doubt"
    assert Delivery.objects.get().due_at > clock.now() + timedelta(seconds=unsure * 0.7)
    world.sandbox.settle()
    pass_time(unsure + 1)
    drain()
    assert (lines(world), Delivery.objects.get().status) == ([5], Status.DONE)


def test_a_late_quantity_does_not_overtake_a_newer_one(world: make.World, drain: Any, settings: Any) -> None:
    CrossReference.objects.update(product=world.credentials.choices.get(kind="product", psa_id="302"))
    world.sandbox.control.fault("late_commit", method="PATCH", path="additions", times=1)
    make.api(world.token).post("/api/v1/usage", word(5))
    drain()
    make.api(world.token).post("/api/v1/usage", word(6))
    drain()
    world.sandbox.settle()
    pass_time(settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS) + 1)
    drain()
    [agreement] = world.sandbox.control.agreements(id=401)
    assert [row["quantity"] for row in agreement["additions"] if row["product"]["id"] == 302] == [6]


def test_a_clear_refusal_leaves_no_doubt_and_is_tried_again_at_once(world: make.World, drain: Any) -> None:
    world.sandbox.control.fault("status_403", method="POST", path=ADDITIONS, times=1)
    make.api(world.token).post("/api/v1/usage", word(5))
    drain()
    assert lines(world) == [5]
    assert sorted(PushRun.objects.values_list("state", "sent_at")) == [("done", None), ("failed", None)]


def test_what_was_written_before_an_error_is_kept_line_by_line(world: make.World, drain: Any) -> None:
    make.billing(world, service=other_service().key, product="302")
    world.sandbox.control.fault("drop", method="POST", path=ADDITIONS, times=1)
    words = [word(5), {**word(7), "service": other_service().key}]
    make.api(world.token).post("/api/v1/usage", {"usage": words})
    drain()
    created = PushItem.objects.get(service__key="online-backup-servers")
    updated = PushItem.objects.exclude(pk=created.pk).get()
    in_order = [item["key"] for item in PushRun.objects.get().plan["items"]]
    went_first = in_order[0] == updated.service.key
    assert (created.state, updated.state) == ("in_doubt", "done" if went_first else "failed")
    [agreement] = world.sandbox.control.agreements(id=401)
    quantities = [row["quantity"] for row in agreement["additions"] if row["product"]["id"] == 302]
    assert (quantities == [7]) == went_first


def other_service() -> Service:
    return Service.objects.exclude(key="online-backup-servers").order_by("key")[0]


def test_runs_that_an_earlier_version_left_planned_are_taken_up_and_settled(
    world: make.World, drain: Any, settings: Any
) -> None:
    row = {"partner": world.partner, "client": world.client, "credentials": world.credentials}
    for hours in (3, 2, 1):
        began = clock.now() - timedelta(hours=hours)
        PushRun.objects.create(**row, agreement_id="401", started_at=began, plan={"items": []})
    importlib.import_module("billing.migrations.0005_runs_in_doubt").take_up(apps, None)
    assert PushRun.objects.exclude(sent_at=None).count() == 1
    make.api(world.token).post("/api/v1/usage", word(5))
    drain()
    assert set(PushRun.objects.values_list("state", flat=True)) == {"in_doubt"}
    pass_time(settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS) + 1)
    drain()
    assert PushRun.objects.filter(sent_at=None).count() == 4
    assert lines(world) == [5]


def test_the_database_forbids_two_pushes_of_one_agreement_on_their_way(world: make.World) -> None:
    row = {
        "partner": world.partner,
        "client": world.client,
        "credentials": world.credentials,
        "agreement_id": "401",
        "sent_at": clock.now(),
    }
    PushRun.objects.create(**row)
    with pytest.raises(IntegrityError, match=r"one_push_on_its_way|UNIQUE"), transaction.atomic():
        PushRun.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        PushRun.objects.create(**{**row, "agreement_id": "402", "state": "done"})
