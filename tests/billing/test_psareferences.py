"""ConnectWise's own cross-references: compared line by line, written once, also when an answer is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse

from billing import jobs, psareferences, referenceruns
from billing.decisions import Decider, Refused
from billing.models import CrossReference, ReferenceRun, Service
from billing.proof_world import Billed
from integrations import doctor
from integrations.models import Choice, Credentials
from integrations.models.connections import Standing
from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.plan import Applied, Plan
from integrations.sandbox import running_sandbox
from portal import clock
from portal.models import AuditEntry, Organization
from tests import make
from tests.devicestable import DevicesTable
from tests.portal.test_pages import signed_in

BOSS = Decider("boss@northwind.example")
LINE = ("Storage", "Basic", 301, "Backup Stats", "")


@pytest.fixture
def table(shop: Billed) -> DevicesTable:
    """ConnectWise's table, still empty; here two services have their Type: one storage, one servers."""
    made = DevicesTable(shop.sandbox)
    CrossReference.objects.all().delete()
    reference(shop, "basic-online-backup-storage", "OBS-GB", type="Storage", level="Basic")
    return made


def reference(shop: Billed, service: str, product: str, at: Any = None, **words: str) -> CrossReference:
    level = at or shop.organization
    where = {"organization" if isinstance(level, Organization) else "client": level}
    made: CrossReference = CrossReference.objects.create(
        partner=shop.partner,
        service=Service.objects.get(key=service),
        product=shop.credentials.choices.get(kind="product", name=product),
        **{"configuration_type": "Backup Stats", **words},
        **where,
    )
    return made


def servers(shop: Billed) -> CrossReference:
    return reference(shop, "online-backup-servers", "OBS-SERVER", type="Servers", level="Select")


def asked(shop: Billed) -> ReferenceRun:
    return referenceruns.ask(shop.credentials, psareferences.compare(shop.credentials).plan.digest, by=BOSS)


def carried_out(run: ReferenceRun) -> ReferenceRun:
    jobs.write_references(str(run.pk))
    run.refresh_from_db()
    return run


def later(run: ReferenceRun, seconds: float = 3600) -> ReferenceRun:
    """What was sent, and is due, so much earlier; then the worker's look."""
    back = timedelta(seconds=seconds)
    rows = ReferenceRun.objects.filter(pk=run.pk)
    rows.update(due_at=run.due_at - back, sent_at=run.sent_at - back if run.sent_at else None)
    jobs.look_after_references()
    run.refresh_from_db()
    return run


def states(run: ReferenceRun) -> list[str]:
    return [line["state"] for line in run.lines]


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S4-26")
def test_a_manager_compares_confirms_and_finds_nothing_to_do_the_second_time(
    shop: Billed, table: DevicesTable
) -> None:
    servers(shop)
    table.add("Storage", "Basic", 304)
    table.add("Firewalls", "Gold", 303)
    person = make.user(shop.partner)
    browser = signed_in(person)
    page = reverse("psa_references", args=[shop.credentials.pk])
    assert "Compare with ConnectWise" in browser.get(reverse("cross_references")).content.decode()
    answer = browser.post(page, {"what": "compare"})
    text = answer.content.decode()
    assert all(
        word in text for word in ("BDR-GB", "OBS-GB", "OBS-SERVER", "Only in ConnectWise: Type Firewalls")
    )
    assert table.writes() == []
    digest = answer.context["compared"].plan.digest
    browser.post(page, {"what": "write", "digest": digest})
    run = ReferenceRun.objects.get()
    assert (run.state, run.asked_as, table.writes()) == ("planned", person.email, [])
    assert carried_out(run).state == "done"
    assert table.lines() == [
        LINE,
        ("Firewalls", "Gold", 303, "Backup Stats", ""),
        ("Servers", "Select", 302, "Backup Stats", ""),
    ]
    assert sorted(table.writes()) == ["PATCH", "POST"]
    assert "There is nothing to write." in browser.post(page, {"what": "compare"}).content.decode()
    again = browser.post(page, {"what": "write", "digest": digest}, follow=True).content.decode()
    assert "There is nothing to write" in again
    assert len(table.writes()) == 2
    entry = AuditEntry.objects.get(action="write cross-references")
    assert (entry.actor, entry.partner_id, entry.details["done"]) == (person.email, shop.partner.pk, 2)


def test_what_was_shown_is_what_is_written_or_nothing(shop: Billed, table: DevicesTable) -> None:
    digest = psareferences.compare(shop.credentials).plan.digest
    line = table.add(product=304)
    with pytest.raises(Refused, match="has changed since"):
        referenceruns.ask(shop.credentials, digest, by=BOSS)
    run = asked(shop)
    table.change(line, product=table.store.reference("catalog", 305))
    carried_out(run)
    assert (run.state, states(run), run.lines[0]["text"]) == ("failed", ["failed"], referenceruns.CHANGED)
    assert (table.writes(), table.lines()[0][2]) == ([], 305)


def test_observe_mode_writes_nothing_and_says_so(shop: Billed, table: DevicesTable) -> None:
    shop.mode("observe")
    browser = signed_in(make.user(shop.partner))
    page = reverse("psa_references", args=[shop.credentials.pk])
    answer = browser.post(page, {"what": "compare"})
    assert "Billing is in observe mode here" in answer.content.decode()
    digest = answer.context["compared"].plan.digest
    told = browser.post(page, {"what": "write", "digest": digest}, follow=True).content.decode()
    run = ReferenceRun.objects.get()
    assert (run.state, states(run)) == ("observed", ["observed"])
    assert referenceruns.OBSERVED in told
    carried_out(run)
    assert (table.writes(), table.lines()) == ([], [])


def test_a_mode_that_turns_to_observe_before_the_write_stops_it(shop: Billed, table: DevicesTable) -> None:
    run = asked(shop)
    shop.mode("observe")
    assert carried_out(run).state == "failed"
    assert (run.lines[0]["text"], table.writes()) == (f"Not sent. {referenceruns.OBSERVED}", [])


def test_a_connection_that_was_replaced_before_the_write_stops_it(shop: Billed, table: DevicesTable) -> None:
    run = asked(shop)
    Credentials.objects.filter(pk=shop.credentials.pk).update(standing=Standing.FORMER)
    assert carried_out(run).state == "failed"
    assert (run.error_text, table.writes()) == (referenceruns.REPLACED, [])


def test_in_approve_mode_the_confirmation_is_the_approval(shop: Billed, table: DevicesTable) -> None:
    shop.mode("approve")
    assert carried_out(asked(shop)).state == "done"
    assert table.lines() == [LINE]


def test_viewers_look_and_strangers_find_nothing(shop: Billed, table: DevicesTable) -> None:
    page = reverse("psa_references", args=[shop.credentials.pk])
    viewer = signed_in(make.user(shop.partner, role="partner_viewer"))
    assert "Compare with ConnectWise" not in viewer.get(page).content.decode()
    assert viewer.post(page, {"what": "compare"}).status_code in (403, 404)
    assert signed_in(make.user(make.partner("Southwind MSP"))).get(page).status_code == 404


def test_at_autotask_it_is_not_offered_and_the_page_says_why(db: None) -> None:
    with running_sandbox(kind="autotask") as sandbox:
        world = make.autotask_world(sandbox)
        browser: Browser = signed_in(make.user(world.partner))
        page = reverse("psa_references", args=[world.credentials.pk])
        assert "Autotask has no table of cross-references" in browser.get(page).content.decode()
        overview = browser.get(reverse("cross_references")).content.decode()
        assert "Not offered: Autotask has no table" in overview
        assert "Compare with ConnectWise" not in overview
        browser.post(page, {"what": "write", "digest": ""})
        assert not ReferenceRun.objects.exists()


# --- Trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["commit_then_drop", "drop", "status_500"])
def test_a_lost_answer_is_looked_for_and_never_sent_twice(
    fault: str, shop: Billed, table: DevicesTable
) -> None:
    shop.sandbox.control.fault(fault, path="crossReferences", method="POST", times=1)
    run = carried_out(asked(shop))
    assert (run.state, states(run), run.sent_at is not None) == ("in_doubt", ["in_doubt"], True)
    with pytest.raises(Refused, match="still being written"):
        asked(shop)
    assert later(run, 1).state == "in_doubt"
    assert len(table.writes()) == 1
    assert later(run).state == "done"
    assert table.lines() == [LINE]
    is_found = run.lines[0]["text"] == referenceruns.FOUND
    assert (is_found, len(table.writes())) == ((True, 1) if fault == "commit_then_drop" else (False, 2))


class Killed(BaseException):
    """The worker's process ends here, and notes nothing more."""


@pytest.mark.parametrize("write", [1, 2])
@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_worker_that_dies_with_a_line_on_its_way_leaves_doubt_and_no_second_line(
    is_carried_out: bool, write: int, shop: Billed, table: DevicesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers(shop)
    run = asked(shop)
    passes = iter(range(1, 9))
    apply = ConnectWisePsa.apply

    def dying(psa: ConnectWisePsa, plan: Plan) -> Applied:
        is_now = next(passes) == write
        if is_now and not is_carried_out:
            raise Killed
        applied = apply(psa, plan)
        if is_now:
            raise Killed
        return applied

    monkeypatch.setattr(ConnectWisePsa, "apply", dying)
    with pytest.raises(Killed):
        carried_out(run)
    jobs.look_after_references()
    run.refresh_from_db()
    assert (run.turn, states(run)[write - 1]) == (1, "sent"), "it may still be at work"
    died = clock.now() - referenceruns.LEASE - timedelta(seconds=1)
    ReferenceRun.objects.filter(pk=run.pk).update(taken_at=died)
    jobs.look_after_references()
    run.refresh_from_db()
    assert (run.state, states(run)[write - 1]) == ("in_doubt", "in_doubt")
    assert later(run).state == "done"
    assert sorted(line[0] for line in table.lines()) == ["Servers", "Storage"]
    assert table.writes() == ["POST", "POST"]


def test_whoever_lost_the_run_to_another_writes_nothing_more(
    shop: Billed, table: DevicesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_at = psareferences.plan_at

    def overtaken(*args: Any) -> Any:
        ReferenceRun.objects.update(turn=7)
        return plan_at(*args)

    run = asked(shop)
    monkeypatch.setattr(psareferences, "plan_at", overtaken)
    carried_out(run)
    assert (run.state, table.writes()) == ("planned", [])


def test_a_missing_right_is_named_on_every_line_and_by_test_it(shop: Billed, table: DevicesTable) -> None:
    servers(shop)
    shop.sandbox.control.role(table_setup={"add": "None"})
    run = carried_out(asked(shop))
    assert (run.state, states(run)) == ("failed", ["failed", "failed"])
    assert all("Company / Managed Devices Integration" in line["text"] for line in run.lines)
    assert "Table Setup (Add, Edit, Inquire: All)" in run.advice
    shop.credentials.refresh_from_db()
    lines = {check.name: check for check in doctor.examine(shop.credentials)}
    found = lines["System > Table Setup (Company / Managed Devices Integration)"]
    assert (found.verdict, found.breaks) == ("failed", ("cross_references",))
    shop.credentials.lane.refresh_from_db()
    assert (shop.credentials.lane.breaker, shop.credentials.lane.blocked) == ("", {}), "tickets go on"
    shop.sandbox.control.role(table_setup={"add": "All"})
    assert carried_out(asked(shop)).state == "done"


def test_reading_that_is_not_permitted_is_told_on_the_page(shop: Billed, table: DevicesTable) -> None:
    shop.sandbox.control.role(table_setup={"allow": "Service / Service Board"})
    page = reverse("psa_references", args=[shop.credentials.pk])
    answer = signed_in(make.user(shop.partner)).post(page, {"what": "compare"}).content.decode()
    assert "Company / Managed Devices Integration" in answer


def test_a_line_that_the_psa_refuses_keeps_no_other_back(shop: Billed, table: DevicesTable) -> None:
    servers(shop)
    Choice.objects.filter(credentials=shop.credentials, kind="product", name="OBS-GB").update(psa_id="99999")
    run = carried_out(asked(shop))
    assert (run.state, sorted(states(run))) == ("partly", ["done", "failed"])
    refused = next(line for line in run.lines if line["state"] == "failed")
    assert "product" in refused["text"].lower()
    assert refused["advice"]
    assert [line[0] for line in table.lines()] == ["Servers"]


def test_a_psa_that_is_away_is_waited_for_and_given_up_in_the_end(shop: Billed, table: DevicesTable) -> None:
    run = asked(shop)
    shop.sandbox.control.fault("html_503", path=".")
    for _ in range(referenceruns.MOST_TRIES - 1):
        carried_out(run)
        assert (run.state, run.taken_at) == ("planned", None)
        ReferenceRun.objects.update(due_at=clock.now())
    carried_out(run)
    shop.sandbox.control.clear_faults()
    assert (run.state, states(run), table.writes()) == ("failed", ["failed"], [])
    assert run.lines[0]["text"].startswith("Not sent.")


def test_one_comparison_is_written_at_a_time(shop: Billed, table: DevicesTable) -> None:
    run = asked(shop)
    fields = {"partner": shop.partner, "credentials": shop.credentials, "digest": "x", "asked_as": "x"}
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferenceRun.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferenceRun.objects.filter(pk=run.pk).update(state="done")
    sent = {"sent_at": run.asked_at, "finished_at": run.asked_at}
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferenceRun.objects.filter(pk=run.pk).update(state="observed", **sent)


# --- What the table should say ----------------------------------------------------------------------------------------


def test_the_highest_level_speaks_and_what_a_lower_one_says_otherwise_is_told(
    shop: Billed, table: DevicesTable
) -> None:
    words = {"type": "Storage", "level": "Basic"}
    reference(shop, "basic-online-backup-storage", "BDR-GB", shop.client, **words)
    reference(
        shop, "online-backup-servers", "OBS-SERVER", shop.client, type="Servers", configuration_type="X"
    )
    reference(shop, "bdr-servers", "BDR-SERVER", type="")
    own = psareferences.wanted(shop.credentials)
    found = {(one.vendor_type, one.vendor_level): one.product_name for one in own.setup.references}
    assert found == {("Storage", "Basic"): "OBS-GB", ("Servers", ""): "OBS-SERVER"}
    assert sorted(one.code for one in own.findings) == ["conflict", "reference_without_type"]
    assert all(one.advice for one in own.findings)


def test_words_that_stand_in_other_places_are_other_lines(shop: Billed, table: DevicesTable) -> None:
    CrossReference.objects.all().delete()
    places: tuple[dict[str, str], ...] = (
        {"type": "A", "level": "B", "configuration_type": ""},
        {"type": "A", "level": "", "configuration_type": "B"},
        {"type": "A / B", "level": "", "configuration_type": ""},
    )
    services = ("online-backup-servers", "bdr-servers", "bdr-desktops")
    for service, words in zip(services, places, strict=True):
        reference(shop, service, "OBS-GB", **words)
    own = psareferences.wanted(shop.credentials)
    assert len({one.words for one in own.setup.references}) == 3
    assert own.findings == ()
