"""What a PSA offers is copied list by list, found again by id, and old copies are never mistaken for new ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import TicketSettings
from billing.models import AgreementLink
from integrations import choices, choicestore, gonechoices, mapping, reloading
from integrations.models import Choice, ChoiceList, Credentials, Reload
from integrations.psa.errors import SignInRefused
from integrations.psa.port import Option
from integrations.sandbox import Sandbox
from portal import clock
from tests import make
from tests.make import World

FULL, CHANGES = Reload.Mode.FULL, Reload.Mode.CHANGES


@pytest.fixture
def world(db: None, sandbox: Sandbox) -> World:
    """Connected, with every list read once; what was seeded counts as changed long ago."""
    return make.world(sandbox)


def row_id(sandbox: Sandbox, table: str, **values: Any) -> int:
    rows = sandbox.dialect.store.all(table)
    found: int = next(
        row["id"] for row in rows if all(row.get(name) == value for name, value in values.items())
    )
    return found


def edit(sandbox: Sandbox, table: str, key: int, **values: Any) -> None:
    """What somebody does in the PSA."""
    store = sandbox.dialect.store
    with store.lock:
        row = store.get(table, key)
        info = {**row["_info"], "lastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        store.put(table, {**row, **values, "_info": info})


def delete(sandbox: Sandbox, table: str, key: int) -> None:
    with sandbox.dialect.store.lock:
        sandbox.dialect.store.delete(table, key)


def read(credentials: Credentials, mode: str = FULL) -> Reload:
    """One reading from asking to its end, as the worker does it."""
    asked = reloading.stored(credentials, by=None, mode=mode)
    reloading.take_turn()
    asked.refresh_from_db()
    return asked


def numbers(row: Reload, what: str) -> dict[str, int]:
    return {kind: counts[what] for kind, counts in row.counts.items() if counts.get(what)}


def calls(sandbox: Sandbox, text: str = "") -> list[str]:
    return [one["path"] for one in sandbox.control.requests() if text in one["path"]]


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S0-36")
def test_every_kind_is_read_and_counted(world: World) -> None:
    stock = {one.kind: one.count for one in choices.stock_of(world.credentials)}
    assert (stock["company"], stock["contact"], stock["board"], stock["product"]) == (12, 12, 3, 12)
    assert (stock["status"], stock["item"]) == (18, 6)
    first = world.credentials.reloads.get()
    assert (first.state, numbers(first, "added")["status"]) == ("done", 18)
    assert all(one.read_at for one in choices.stock_of(world.credentials))


def test_what_did_not_change_is_not_written(world: World) -> None:
    with CaptureQueriesContext(connection) as queries:
        again = read(world.credentials)
    written = [
        one["sql"]
        for one in queries
        if one["sql"].startswith(("INSERT", "UPDATE", "DELETE")) and '"integrations_choice"' in one["sql"]
    ]
    assert written == []
    assert (again.state, again.diff, numbers(again, "changed")) == ("done", [], {})


@pytest.mark.parity("S1-21")
def test_a_rename_keeps_what_was_chosen_and_is_told(world: World) -> None:
    settings = TicketSettings.objects.get()
    edit(world.sandbox, "boards", int(settings.board.psa_id), name="Backup and Recovery")
    edit(world.sandbox, "companies", 250, name="Bakery Ott & Sons")
    told = read(world.credentials)
    settings.refresh_from_db()
    assert settings.board.name == "Backup and Recovery"
    row = mapping.row_of(world.credentials, world.client)
    assert (row.link.psa_company_name, row.state) == ("Bakery Ott", "renamed")
    renamed = {(one["kind"], one["before"], one["name"]) for one in told.diff if one["what"] == "renamed"}
    assert ("board", "Backup", "Backup and Recovery") in renamed
    assert ("company", "Bakery Ott", "Bakery Ott & Sons") in renamed


def test_what_a_full_reading_misses_is_gone_until_it_is_back(world: World) -> None:
    settings = TicketSettings.objects.get()
    key = int(settings.closing_status.psa_id)
    kept = world.sandbox.dialect.store.get("statuses", key)
    delete(world.sandbox, "statuses", key)
    gone = read(world.credentials)
    assert (numbers(gone, "gone"), [one["name"] for one in gone.diff]) == ({"status": 1}, ["Completed"])
    settings.refresh_from_db()
    assert settings.closing_status.vanished_at is not None
    with world.sandbox.dialect.store.lock:
        world.sandbox.dialect.store.put("statuses", kept)
    back = read(world.credentials)
    settings.refresh_from_db()
    assert (numbers(back, "back"), settings.closing_status.vanished_at) == ({"status": 1}, None)


def test_what_belongs_to_a_board_goes_with_it(world: World) -> None:
    board = world.credentials.choices.get(kind="board", name="Alerts")
    edit(world.sandbox, "boards", int(board.psa_id), inactiveFlag=True)
    told = read(world.credentials)
    assert numbers(told, "gone") == {"board": 1, "status": 6, "type": 1, "subtype": 3, "item": 2}
    assert not world.credentials.choice_lists.filter(kind="of_board", within=board.psa_id).exists()


def test_names_that_no_database_takes_are_cleaned(world: World) -> None:
    odd = Option(kind="source", id="9", name="A\x00B\ud83d", data={"deep": [{"x\x00": "y\x00"}]})
    nameless = Option(kind="source", id="10", name=" ")
    changes = choicestore.compare(world.credentials, "", [odd, nameless])
    choicestore.write(changes)
    stored = dict(
        world.credentials.choices.filter(kind="source", psa_id__in=["9", "10"]).values_list("name", "data")
    )
    assert stored == {"AB": {"deep": [{"x": "y"}]}, "(no name, id 10)": {}}


# --- Looking for changes only -----------------------------------------------------------------------------------------


def test_a_look_for_changes_is_cheap_and_takes_over_what_changed(world: World) -> None:
    edit(world.sandbox, "companies", 251, name="Harbor Dental")
    edit(world.sandbox, "catalog", row_id(world.sandbox, "catalog", identifier="FSE"), inactiveFlag=True)
    world.sandbox.control.delete("requests")
    told = read(world.credentials, CHANGES)
    assert (numbers(told, "renamed"), numbers(told, "gone")) == ({"company": 1}, {"product": 1})
    assert told.calls == len(calls(world.sandbox)) <= 9
    assert calls(world.sandbox, "/statuses") == []


def test_a_look_for_changes_never_concludes_from_absence(world: World) -> None:
    """Also where the list is always told in whole."""
    delete(world.sandbox, "companies", 255)
    delete(world.sandbox, "priorities", row_id(world.sandbox, "priorities", name="Priority 4 - Scheduled"))
    assert read(world.credentials, CHANGES).diff == []
    assert numbers(read(world.credentials), "gone") == {"company": 1, "priority": 1}


def test_a_new_board_is_read_with_all_that_belongs_to_it(world: World) -> None:
    world.sandbox.control.reset(large={"boards": 4, "statuses": 0, "companies": 0, "contacts": 0,
                                       "products": 0, "agreements": 0, "tickets": 0})  # fmt: skip
    world.sandbox.control.delete("requests")
    told = read(world.credentials, CHANGES)
    assert (numbers(told, "added")["status"], len(calls(world.sandbox, "/statuses"))) == (6, 1)


def test_what_was_never_read_is_read_in_whole(world: World) -> None:
    world.credentials.choice_lists.filter(kind="company").delete()
    world.credentials.choices.filter(kind="company").delete()
    assert numbers(read(world.credentials, CHANGES), "added") == {"company": 12}


# --- When it goes wrong half way --------------------------------------------------------------------------------------


def test_what_was_read_is_kept_and_the_rest_is_said_to_be_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PAUSES", ())
    before = choices.seen_at(world.credentials, "product")
    edit(world.sandbox, "companies", 251, name="Harbor Dental")
    world.sandbox.control.fault("status_500", path="/procurement/catalog")
    told = read(world.credentials)
    assert (told.state, told.error_kind, told.left) == (
        "failed",
        "unreachable",
        ["product", "agreement", "contact"],
    )
    assert numbers(told, "renamed") == {"company": 1}
    assert choices.seen_at(world.credentials, "product") == before
    fresh = choices.seen_at(world.credentials, "company", "status")
    assert before is not None
    assert fresh is not None
    assert fresh > before


def test_a_psa_that_does_not_answer_is_asked_again_later_and_it_goes_on_from_there(world: World) -> None:
    world.sandbox.control.fault("status_429", path="/finance/agreements", times=1, retry_after=7200)
    told = read(world.credentials)
    assert (told.state, told.holder, "product" in told.done) == ("waiting", None, True)
    assert told.due_at > clock.now() + timedelta(seconds=5)
    reloading.take_turn()
    assert Reload.objects.get(pk=told.pk).state == "waiting"
    Reload.objects.filter(pk=told.pk).update(due_at=clock.now())
    world.sandbox.control.delete("requests")
    reloading.take_turn()
    assert Reload.objects.get(pk=told.pk).state == "done"
    assert calls(world.sandbox, "/procurement/catalog") == []


def test_one_list_that_is_not_permitted_does_not_hinder_the_others(world: World) -> None:
    world.sandbox.control.role(product_catalog="None")
    edit(world.sandbox, "agreements", 401, name="Backup Services, renamed")
    told = read(world.credentials)
    assert (told.state, numbers(told, "renamed")) == ("partly", {"agreement": 1})
    assert [one["kind"] for one in told.troubles] == ["product"]
    assert "Product Catalog" in " ".join(choices.age_of(world.credentials, "product").troubles)
    assert not world.credentials.choices.filter(kind="product", vanished_at__isnull=False).exists()
    world.sandbox.control.role(product_catalog="All")
    read(world.credentials)
    assert choices.age_of(world.credentials, "product").troubles == []


def test_keys_that_are_refused_stop_it_at_once(world: World) -> None:
    world.sandbox.control.rotate_keys()
    with pytest.raises(SignInRefused):
        choices.reload(world.credentials)
    told = world.credentials.reloads.first()
    assert (told.state, told.error_kind, told.calls <= 2) == ("failed", "sign_in_refused", True)
    assert [reloading.mode_due(row) for row in annotated(world.credentials)] == [None]


def test_when_most_is_missing_all_at_once_nothing_is_believed_until_it_is_said_twice(world: World) -> None:
    sizes = {"companies": 40, "contacts": 0, "boards": 0, "statuses": 0, "products": 0, "agreements": 0}
    world.sandbox.control.reset(large={**sizes, "tickets": 0})
    read(world.credentials)
    for key in range(252, 290):
        delete(world.sandbox, "companies", key)
    first = read(world.credentials)
    assert (first.state, numbers(first, "gone")) == ("partly", {})
    assert "38 of 40" in first.troubles[0]["text"]
    read(world.credentials, CHANGES)
    assert numbers(read(world.credentials), "gone") == {"company": 38}


def test_what_a_list_told_before_it_broke_off_is_written_and_told_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PAUSES", ())
    settings = TicketSettings.objects.get()
    edit(world.sandbox, "statuses", int(settings.new_status.psa_id), name="Brand-new")
    world.sandbox.control.fault("drop", path=f"/boards/{settings.board.psa_id}/types")
    told = read(world.credentials)
    settings.refresh_from_db()
    assert (told.state, settings.new_status.name, numbers(told, "renamed")) == (
        "failed",
        "Brand-new",
        {"status": 1},
    )


def test_a_connection_that_was_switched_off_meanwhile_is_not_read(world: World) -> None:
    Credentials.objects.update(kind="none", secret=None)
    told = read(world.credentials)
    assert (told.state, told.error_kind, told.read) == ("failed", "misconfigured", 0)


# --- One at a time, whoever is killed ---------------------------------------------------------------------------------


def test_asking_twice_is_one_reading_and_everything_outdoes_what_changed(world: World) -> None:
    person = make.user(world.partner)
    first = reloading.ask(world.credentials, mode=CHANGES)
    again = reloading.ask(world.credentials, by=person)
    assert (first.pk, again.mode, again.asked_by) == (again.pk, FULL, person.email)
    assert reloading.ask(world.credentials, mode=CHANGES).mode == FULL
    with pytest.raises(IntegrityError, match=r"UNIQUE|one_reload_under_way"), transaction.atomic():
        Reload.objects.create(partner=world.partner, credentials=world.credentials)


def test_everything_asked_for_while_changes_are_looked_for_is_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(world.sandbox, "companies", 255)
    usual = reloading.Turn.settled

    def settled(turn: reloading.Turn, *args: Any) -> None:
        if turn.row.mode == CHANGES and turn.row.kind == "company":
            reloading.stored(world.credentials, by=None, mode=FULL)
        usual(turn, *args)

    monkeypatch.setattr(reloading.Turn, "settled", settled)
    told = read(world.credentials, CHANGES)
    assert (told.mode, told.state, numbers(told, "gone")) == (FULL, "done", {"company": 1})


class Killed(BaseException):
    """Nobody catches this, as nobody catches kill -9."""


def cut_short(credentials: Credentials, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Reload:
    """A reading whose holder is killed after so many calls."""

    def hear(turn: reloading.Turn, exchange: Any) -> None:
        turn.row.calls += 1
        if turn.row.calls > after:
            raise Killed

    asked = reloading.stored(credentials, by=None, mode=FULL)
    with monkeypatch.context() as patched:
        patched.setattr(reloading.Turn, "hear", hear)
        with pytest.raises(Killed):
            reloading.take_turn()
    asked.refresh_from_db()
    return asked


def test_a_reading_whose_holder_was_killed_goes_on_with_the_list_he_was_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cut_short(world.credentials, monkeypatch, after=8)
    assert (left.state, "board" in left.done, "company" in left.done) == ("running", True, False)
    reloading.take_turn()
    assert Reload.objects.get(pk=left.pk).holder == left.holder, "he may still live"
    Reload.objects.filter(pk=left.pk).update(beat_at=clock.now() - reloading.LEASE)
    world.sandbox.control.delete("requests")
    reloading.take_turn()
    left.refresh_from_db()
    assert (left.state, left.lost) == ("done", 0)
    assert "/service/boards" not in {path.rpartition("/3.0")[2] for path in calls(world.sandbox)}


def test_a_reading_that_kills_everybody_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(reloading.MOST_LOST):
        told = cut_short(world.credentials, monkeypatch, after=0)
        Reload.objects.filter(pk=told.pk).update(beat_at=clock.now() - reloading.LEASE)
    reloading.take_turn()
    told.refresh_from_db()
    assert (told.state, "cut short" in told.error_text) == ("failed", True)


def test_who_was_taken_for_dead_writes_nothing_any_more(world: World) -> None:
    edit(world.sandbox, "companies", 251, name="Harbor Dental")
    reloading.stored(world.credentials, by=None, mode=FULL)
    slow = reloading.claimed(reloading.due())
    assert slow is not None
    Reload.objects.filter(pk=slow.pk).update(holder=clock.new_id())
    reloading.Turn(slow).run(seconds=None)
    assert not world.credentials.choices.filter(name="Harbor Dental").exists()
    assert Reload.objects.get(pk=slow.pk).state == "running"


def test_long_work_leaves_a_process_of_the_worker_free(world: World, settings: Any) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "workers": 2}
    other = make.connect(make.clients.top_level(make.partner("Rival")), world.sandbox)
    for credentials in (world.credentials, other):
        reloading.stored(credentials, by=None, mode=FULL)
    assert reloading.claimed(reloading.due()) is not None
    assert reloading.claimed(reloading.due()) is None


def test_a_turn_ends_after_its_time_and_the_next_goes_on(world: World) -> None:
    asked = reloading.stored(world.credentials, by=None, mode=FULL)
    turns = 0
    while (row := reloading.claimed(reloading.due())) is not None:
        reloading.Turn(row).run(seconds=0)
        turns += 1
    asked.refresh_from_db()
    assert (asked.state, turns) == ("done", len(asked.done))


# --- By itself --------------------------------------------------------------------------------------------------------


def annotated(credentials: Credentials) -> Any:
    return [row for row in reloading.connections_with_last() if row.pk == credentials.pk]


@pytest.mark.parametrize(
    ("hours_since_full", "hours_since_any", "mode"),
    [(25, 2, FULL), (23, 2, CHANGES), (23, 0.5, None), (25, 0.5, FULL)],
)
def test_everything_once_a_day_and_what_changed_once_an_hour(
    world: World, hours_since_full: float, hours_since_any: float, mode: str | None
) -> None:
    now = clock.now()
    world.credentials.reloads.update(
        asked_at=now - timedelta(hours=hours_since_full), finished_at=now - timedelta(hours=hours_since_full)
    )
    Reload.objects.create(
        partner=world.partner,
        credentials=world.credentials,
        mode=CHANGES,
        state="done",
        asked_at=now - timedelta(hours=hours_since_any),
    )
    assert [reloading.mode_due(row) for row in annotated(world.credentials)] == [mode]


@pytest.mark.django_db(transaction=True)
def test_the_schedule_reads_what_is_old(live_world: World) -> None:
    live_world.credentials.reloads.update(finished_at=clock.now() - timedelta(days=2))
    reloading.look_after()
    newest = live_world.credentials.reloads.first()
    assert (newest.mode, newest.state, newest.asked_by) == (FULL, "done", "")


@pytest.mark.parametrize("fields", [{"test_passed": False}, {"kind": "none"}], ids=str)
def test_a_connection_in_trouble_is_left_alone(world: World, fields: dict[str, Any]) -> None:
    Reload.objects.all().delete()
    Credentials.objects.update(**fields)
    assert list(reloading.outdated()) == []


@pytest.mark.parity("S0-15")
def test_a_new_connection_is_read_by_itself_once_its_test_has_passed(world: World) -> None:
    Reload.objects.all().delete()
    assert list(reloading.outdated()) == []
    Credentials.objects.update(test_passed=True)
    assert [mode for _, mode in reloading.outdated()] == [FULL]


# --- On pages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(world: World) -> Browser:
    browser = Browser()
    browser.force_login(make.user(world.partner))
    return browser


def page(browser: Browser, name: str, *args: Any) -> str:
    return browser.get(reverse(name, args=args)).content.decode()


@pytest.mark.parity("S1-21")
def test_what_is_in_use_but_gone_is_listed_and_flagged_where_it_is_used(
    world: World, browser: Browser
) -> None:
    make.billing(world)
    settings = TicketSettings.objects.get()
    agreement = AgreementLink.objects.get().agreement
    keys = [settings.closing_status_id, agreement.pk]
    gone = Choice.objects.filter(pk__in=keys) | Choice.objects.filter(kind="product", psa_id="302")
    gone = gone | Choice.objects.filter(kind="company", psa_id="250")
    gone.update(vanished_at=clock.now())
    assert {(use.choice.kind, use.level) for use in gonechoices.in_use(world.credentials)} == {
        ("company", "Bakery Ott"),
        ("agreement", "Bakery Ott"),
        ("product", "Northwind MSP"),
        ("status", "Northwind MSP"),
    }
    listed = page(browser, "options_of", world.credentials.pk)
    assert [name for name in ("Closing status of ticket settings", "Completed") if name not in listed] == []
    assert "4 choices in use are not offered" in page(
        browser, "credentials_of", "organization", world.organization.pk
    )
    for name, key in (("setup_of", world.organization.pk), ("client_agreement", world.client.pk)):
        assert "No longer in the PSA" in page(browser, name, key), name
    assert "no longer among the PSA’s companies" in page(browser, "client_mapping", world.client.pk)
    assert page(browser, "setup").count("No longer in the PSA") == 2


def test_whatever_can_hold_a_choice_leads_to_where_it_is_changed() -> None:
    fields = gonechoices.referring_fields()
    assert len(fields) >= 9
    assert [field for field in fields if not hasattr(field.model, "get_absolute_url")] == []


def test_progress_is_shown_while_it_reads_and_the_page_is_renewed_at_the_end(
    world: World, browser: Browser
) -> None:
    asked = reloading.stored(world.credentials, by=None, mode=FULL)
    Reload.objects.filter(pk=asked.pk).update(
        state="running", holder=clock.new_id(), beat_at=clock.now(), kind="company", read=4711, calls=17
    )
    text = page(browser, "reload_progress", world.credentials.pk)
    assert [part for part in ("Reading Companies", "4711", "17 calls", "every 2s") if part not in text] == []
    Reload.objects.filter(pk=asked.pk).update(state="done", finished_at=clock.now())
    answer = browser.get(reverse("reload_progress", args=[world.credentials.pk]))
    assert (answer["HX-Refresh"], b"every 2s" in answer.content) == ("true", False)


@pytest.mark.parity("S1-21")
def test_the_last_reading_tells_who_asked_and_what_changed(world: World, browser: Browser) -> None:
    person = make.user(world.partner, email="marisol@example.com")
    edit(world.sandbox, "companies", 251, name="<b>Harbor</b>")
    reloading.stored(world.credentials, by=person, mode=FULL)
    reloading.take_turn()
    text = page(browser, "options_of", world.credentials.pk)
    told = ("marisol@example.com", "1 renamed", "<s>Harbor Dental Group</s>", "&lt;b&gt;Harbor&lt;/b&gt;")
    assert [part for part in told if part not in text] == []


def test_names_of_what_changed_are_bounded_and_the_count_is_not(world: World) -> None:
    sizes = {"contacts": 150, "companies": 0, "boards": 0, "statuses": 0, "products": 0, "agreements": 0}
    world.sandbox.control.reset(large={**sizes, "tickets": 0})
    told = choices.Told.of(read(world.credentials))
    assert [(sort.count, len(sort.names), sort.unnamed) for sort in told.differences] == [(138, 100, 38)]


@pytest.mark.parity("S1-21")
def test_pickers_and_their_age_are_there_while_the_psa_is_down(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PAUSES", ())
    world.sandbox.control.fault("drop")
    assert read(world.credentials).state == "failed"
    for name, key in (("setup_of", world.organization.pk), ("client_mapping", world.client.pk)):
        text = page(browser, name, key)
        assert ("Options read from ConnectWise PSA" in text, "just now" in text) == (True, True)
    assert "As old as before: Boards" in page(browser, "options_of", world.credentials.pk)


def test_the_age_of_a_picker_is_that_of_its_oldest_list(world: World) -> None:
    long_ago = clock.now() - timedelta(days=3)
    board = world.credentials.choices.filter(kind="board").first()
    ChoiceList.objects.filter(kind="of_board", within=board.psa_id).update(read_at=long_ago)
    assert choices.seen_at(world.credentials, "board", "status") == long_ago
    assert choices.seen_at(world.credentials, "board") > long_ago
    ChoiceList.objects.filter(kind="product").update(read_at=None)
    assert choices.seen_at(world.credentials, "product") is None
