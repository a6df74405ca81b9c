"""The replay lab: faithful, read-only, and what a draft changes."""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import drafts, labhistory, labresult, labrows, replays
from alerts.models import (
    Condition,
    DropFilter,
    GroupLead,
    Hold,
    Notification,
    Replay,
    RuleDraft,
    Storm,
    Swings,
    Ticket,
)
from alerts.proving import lifeworld, replaylab
from alerts.ticketattempts import came_of_it
from integrations.models import Delivery, Event
from integrations.sandbox import running_sandbox
from portal import clients, clock
from portal.models import Client
from tests import make
from tests.portal.test_pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings):
    with running_sandbox(kind="connectwise") as sandbox:
        settings.PSA_ALLOWED_PORTS = (urlsplit(sandbox.url).port,)
        yield lifeworld.build("connectwise", sandbox)


def replayed(world, document=None):
    since, until = replays.span_of(7)
    return replays.result_of(world.partner, since, until, document)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("seed", "second"), [(5, 0), (6, 50), (8, 40)])
def test_a_replay_with_the_same_rules_gives_exactly_what_happened(world, seed, second):
    result = replaylab.reproduce(world, events=120, seed=seed, second=second)
    same = result["reproduced"]
    assert same["tickets"] == same["same_tickets"] > 10
    assert same["events"] == same["same_events"] >= 120
    assert same["unexplained"] == 0
    assert not same["explained"]
    assert result["today"]["held_by"] == result["really"]["held_by"]
    assert result["today"]["closed"] == result["really"]["closed"]


@pytest.mark.django_db(transaction=True)
def test_what_was_there_before_the_span_is_rebuilt_from_the_first_trace_about_it(world):
    world.fails("still failing")
    world.fails("fine again")
    world.drain()
    world.recovers("fine again")
    world.drain()
    since = clock.now()
    for event in (world.fails, world.recovers):
        event("still failing")
        event("fine again")
        world.drain()
    world.fails("new")
    world.drain()
    result = labresult.of_span(world.partner, since, clock.now())
    same = result["reproduced"]
    assert (same["events"], same["same_events"]) == (5, 5)
    assert (same["tickets"], same["same_tickets"]) == (3, 3)
    assert (same["explained"], same["unexplained"]) == ({}, 0)
    for side in ("really", "today"):
        assert (result[side]["opened"], result[side]["closed"], result[side]["folded"]) == (2, 2, 1)


@pytest.mark.django_db(transaction=True)
def test_many_clients_that_live_through_the_same_are_replayed_each_by_itself(world):
    since, until = replaylab.fill_log(world, events=240, lived=60, seed=3)
    result = labresult.of_span(world.partner, since, until)
    same = result["reproduced"]
    assert Client.objects.filter(partner=world.partner).count() == 20
    assert same["events"] == same["same_events"] >= 240
    assert same["tickets"] == same["same_tickets"] == Ticket.objects.count() > 16
    assert same["tickets"] % 4 == 0
    assert (same["explained"], same["unexplained"]) == ({}, 0)


@pytest.mark.parametrize(
    ("paper", "model"),
    [
        (labrows.PaperEvent, Event),
        (labrows.PaperCondition, Condition),
        (labrows.PaperTicket, Ticket),
        (labrows.PaperDelivery, Delivery),
        (labrows.PaperHold, Hold),
        (labrows.PaperSwings, Swings),
        (labrows.PaperLead, GroupLead),
        (labrows.PaperStorm, Storm),
    ],
)
def test_rows_of_the_lab_begin_as_those_that_are_stored(paper, model):
    for one in dataclasses.fields(paper):
        if one.name == "pk":
            continue
        column = model._meta.get_field(one.name)
        assert one.name in (column.name, column.attname)
        if one.default is not dataclasses.MISSING and column.has_default():
            assert one.default == column.get_default()


def test_tickets_of_the_lab_have_all_that_attempts_write_down():
    known = {one.name for one in dataclasses.fields(labrows.PaperTicket)} | {"id", "partner"}
    assert {column.name for column in Ticket._meta.concrete_fields} <= known


@pytest.mark.django_db(transaction=True)
def test_a_replay_reads_and_never_writes(world):
    world.fails()
    world.drain()
    document = drafts.document_of(labhistory.rules_today(world.partner))
    calls = world.sandbox.control.counts()
    before = list(Condition.objects.values()), list(Ticket.objects.values()), list(Event.objects.values())
    with CaptureQueriesContext(
        connection,
    ) as told:
        result = replayed(world, document)
    assert result["events"] == 1
    assert result["draft"]["opened"] == 1
    reads = ("SELECT", "DECLARE ")  # the cursor of a long SELECT, on PostgreSQL
    assert not [one["sql"] for one in told if not one["sql"].startswith(reads)]
    assert world.sandbox.control.counts() == calls
    assert before == (
        list(Condition.objects.values()),
        list(Ticket.objects.values()),
        list(Event.objects.values()),
    )


@pytest.mark.django_db(transaction=True)
def test_a_technician_s_hand_is_named_as_the_reason(world):
    world.fails()
    world.drain()
    ticket = world.ticket()
    Ticket.objects.filter(pk=ticket.pk).update(
        acknowledged_at=clock.now(), closed_at=clock.now(), state=Ticket.State.CLOSED
    )
    world.recovers()
    world.drain()
    Notification.objects.update(created_at=clock.now() - timedelta(days=99))
    same = replayed(world)["reproduced"]
    assert same["explained"] == {"A technician closed its ticket by hand.": 1}
    assert same["unexplained"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_draft_shows_what_it_would_change_and_why(world):
    world.fails("A1")
    world.fails("A2", severity="warning")
    world.drain()
    draft = drafts.begin(world.partner, "Errors only", by="mia@northwind.example")
    rule = {**draft.document["notifications"][0], "severities": ["error", "critical"]}
    draft = drafts.change(draft, {"notifications": [rule]})
    result = replayed(world, draft.document)
    assert (result["today"]["opened"], result["draft"]["opened"]) == (2, 1)
    (difference,) = result["differences"]
    assert difference["today"] == "a ticket is asked for"
    assert difference["draft"] == "no notification matches"
    assert "Severity warning is not among error, critical." in difference["why"]
    assert result["samples"][0]["board"] == "Backup"
    assert drafts.changes_of(draft) == [
        ("Notifications", "Tickets", "severities: warning, error, critical → error, critical")
    ]
    assert Notification.objects.get().severities == ["warning", "error", "critical"]


def test_two_who_edit_a_draft_at_once_lose_nothing(world):
    seen_by_mia = drafts.begin(world.partner, "Together")
    seen_by_tom = RuleDraft.objects.get(pk=seen_by_mia.pk)
    first, second = (
        DropFilter(partner=world.partner, name=name, reason="r", sources=["backup"]) for name in "ab"
    )
    drafts.put_row(seen_by_mia, "filters", "new", first)
    draft = drafts.put_row(seen_by_tom, "filters", "new", second)
    assert [row["name"] for row in draft.document["filters"]] == ["a", "b"]
    draft = drafts.remove_row(seen_by_mia, "filters", str(first.pk))
    assert [row["name"] for row in draft.document["filters"]] == ["b"]
    RuleDraft.objects.all().delete()
    with pytest.raises(ValidationError, match="deleted this draft"):
        drafts.put_row(seen_by_tom, "filters", "new", first)


def test_a_partner_has_so_many_drafts(world, monkeypatch):
    monkeypatch.setattr(drafts, "MOST_DRAFTS", 2)
    for name in "ab":
        drafts.begin(world.partner, name)
    answer = make.api(make.token(world.partner)).post("/api/v1/rule-drafts", {"name": "c"}, format="json")
    assert (answer.status_code, "delete one first" in answer.content.decode()) == (400, True)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_drafts_of_one_name_at_once_are_one(world):
    begun = threading.Barrier(2)

    def begin():
        begun.wait()
        try:
            return drafts.begin(world.partner, "Same") is not None
        except ValidationError as refusal:
            return "already" in str(refusal)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert [one.result() for one in [pool.submit(begin) for _ in range(2)]] == [True, True]
    assert RuleDraft.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_draft_s_template_is_seen_on_the_samples(world):
    world.fails("A1")
    world.drain()
    draft = drafts.begin(world.partner, "Texts")
    rows = [{**one, "summary_template": "[{severity}] {account}"} for one in draft.document["settings"]]
    result = replayed(world, drafts.change(draft, {"settings": rows}).document)
    assert result["samples"][0]["summary"] == "[error] A1"


def test_a_copy_of_today_s_rules_reads_back_as_it_was(world):
    with replaylab.held_clock(clock.now()):
        replaylab.furnish(world, replaylab.random.Random(1))
    document = drafts.document_of(labhistory.rules_today(world.partner))
    assert json.loads(json.dumps(document)) == document
    assert drafts.document_of(drafts.rules_of(world.partner, document)) == document


@pytest.mark.parametrize(
    ("part", "wrong", "told"),
    [
        ("notifications", [{"name": "x", "action": "ticket", "severities": ["bad"]}], "there is no severity"),
        ("notifications", [{"name": "x", "action": "ticket", "client": "99999"}], "is not known here"),
        ("notifications", [{"name": "x", "action": "ticket", "severities": {"a": 1}}], "a list of texts"),
        ("filters", [{"name": "all"}], "would drop every event"),
        ("windows", [{"name": "x", "first_on": "soon"}], "windows[0].first_on"),
        ("noise", {"flap_minutes": 0}, "at least 1"),
        ("noise", {"durations": ["x"]}, "an object is needed"),
        ("settings", [{"summary_template": "{summary}"}], "one organization, client or account"),
        ("settings", "x", "a list of at most"),
        ("more", [], "no such part"),
        ("windows", [{"name": "x", "first_on": 5}], "no value for it"),
        ("windows", [{"name": "x", "starts_at": {}}], "no value for it"),
        ("filters", [{"name": "x", "sources": ["a"], "expires_at": 5}], "no value for it"),
        ("notifications", [{"name": "x", "position": float("inf")}], "no value for it"),
    ],
)
def test_what_cannot_be_a_draft_is_refused_with_its_place(world, part, wrong, told):
    with pytest.raises(ValidationError) as refusal:
        drafts.begin(world.partner, "Wrong", document={part: wrong})
    assert told in " ".join(refusal.value.messages)
    assert not RuleDraft.objects.exists()


def test_a_name_that_no_database_takes_is_refused_in_words(world):
    with pytest.raises(ValidationError, match="NUL"):
        drafts.begin(world.partner, "a\x00b")


def test_a_span_up_to_the_end_of_time_is_refused_in_words(world):
    browser = signed_in(make.user(world.partner))
    asked = {"days": "", "since": "2026-01-01", "until": "9999-12-31"}
    answer = browser.post(reverse("replay_lab"), asked)
    assert (answer.status_code, "too far away" in answer.content.decode()) == (200, True)


def test_another_partner_s_rows_are_not_known_in_a_draft(world):
    rival = make.partner("Rival")
    clients.top_level(rival)
    stranger = clients.add_client(rival, name="Their client", number=77)
    rule = {"name": "x", "action": "ticket", "client": str(stranger.pk)}
    with pytest.raises(ValidationError, match="is not known here"):
        drafts.begin(world.partner, "Theirs", document={"notifications": [rule]})


def test_the_worker_carries_a_replay_out_once(world):
    since, until = replays.span_of(7)
    row = replays.begin(world.partner, since, until, by="mia@northwind.example")
    assert replays.carry_out(str(row.pk))
    assert not replays.carry_out(str(row.pk))
    row.refresh_from_db()
    assert row.state == Replay.State.DONE
    assert row.result["events"] == 0


def test_a_replay_whose_worker_died_says_so(world):
    since, until = replays.span_of(7)
    row = replays.begin(world.partner, since, until)
    Replay.objects.update(state=Replay.State.RUNNING, moved_at=clock.now() - timedelta(minutes=9))
    replays.look_after()
    row.refresh_from_db()
    assert row.state == Replay.State.FAILED
    assert "stopped" in row.trouble


def test_the_command_prints_a_table_and_names_what_it_does_not_know(world, capsys):
    call_command("replay", partner=world.partner.slug, days=7)
    assert "Today's rules reproduce 0 of 0 tickets" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no partner"):
        call_command("replay", partner="nobody")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("replay", partner=world.partner.slug, draft="/nowhere.json")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Ticket 7 is open.", "opened"),
        ("Ticket 7 is closed.", "closed"),
        ("Ticket 7 is open again.", "reopened"),
        ("Ticket 7 was told.", "told"),
        ("Ticket 7 was found by our key and adopted.", "opened"),
        ("Somebody worked on it.", "left"),
    ],
)
def test_sentences_of_attempts_tell_what_was_done(text, word):
    assert came_of_it("done", "", text) == word


def test_a_trace_tells_an_event_s_fate():
    trace = [
        {"step": "condition", "transition": "opened"},
        {"step": "notification", "matched": True},
        {"step": "hold", "kind": "window", "name": "Patches"},
        {"step": "released"},
        {"step": "delivery", "action": "ticket"},
    ]
    assert labhistory.fate_of(trace) == labhistory.Fate("held", "Patches", "opened", 0, 0)
    assert labresult.why(trace, trace) == "It follows from what the rules said before."
