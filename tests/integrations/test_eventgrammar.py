"""Advanced Search (S4-56): the seeds' grammar, said about real rows; nothing that is typed breaks the page."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations import eventgrammar, eventsearch
from integrations.eventgrammar import FIELDS, OPERATORS, Condition, NotUnderstood
from integrations.eventsearch import EventFilter
from integrations.models import Delivery, Event, SavedSearch
from portal import clock, wildcards
from portal.models import Partner
from tests import make
from tests.portal.test_pages import Scene, delivered, happened, signed_in
from tests.portal.test_pages import scene as scene_fixture

pytestmark = pytest.mark.django_db
scene = scene_fixture


def found(*lines: tuple[str, str, str]) -> set[str]:
    """The summaries of the events that all lines find."""
    wanted = EventFilter(conditions=tuple(Condition(*line) for line in lines))
    return set(eventsearch.search(Event.objects.all(), wanted).values_list("summary", flat=True))


@pytest.fixture
def log(scene: Scene) -> Scene:
    """Three events: one refused by the PSA (the scene's), one that went well, one that nobody was told of."""
    scene.event.summary = "Backup of SRV-FILE01 failed"
    scene.event.save()
    fine = happened(scene.world, summary="100% of mailboxes_scanned", type="mailbox.scanned", severity="info")
    delivered(fine, scene.world, status="done", error_text="", outcome="Closed.")
    happened(
        scene.world, summary="Drive (a*b) gone", type="hardware.drive_failed", client=None, partner=scene.world.partner,
        client_reference="lost-client", state="parked", severity="critical",
        occurred_at=datetime(2026, 3, 1, 9, tzinfo=UTC),
        received_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )  # fmt: skip
    return scene


FILE, MAIL, DRIVE = "Backup of SRV-FILE01 failed", "100% of mailboxes_scanned", "Drive (a*b) gone"


@pytest.mark.parametrize(
    ("line", "summaries"),
    [
        (("error_list", "LIKE", "?*"), {FILE}),
        (("error_list", "IS EMPTY", ""), {MAIL, DRIVE}),
        (("error_list", "NOT LIKE", "?*"), {MAIL, DRIVE}),
        (("error_list", "LIKE", "*refused*"), {FILE}),
        (("error_list", "=", "refused"), set()),
        (("event_information", "LIKE", "backup*"), {FILE}),
        (("event_information", "LIKE", "backup"), set()),
        (("event_information", "LIKE", "*srv-file0?*"), {FILE}),
        (("event_information", "LIKE", "100% of *"), {MAIL}),
        (("event_information", "LIKE", "*s_s*"), {MAIL}),
        (("event_information", "LIKE", "%"), set()),
        (("event_information", "=", "DRIVE (A*B) GONE"), {DRIVE}),
        (("event_information", "!=", FILE), {MAIL, DRIVE}),
        (("event_type", "IN", "backup.failed , mailbox.scanned"), {FILE, MAIL}),
        (("severity", "=", "Critical"), {DRIVE}),
        (("severity", "!=", "info"), {FILE, DRIVE}),
        (("client", "LIKE", "*bakery*"), {FILE, MAIL}),
        (("client", "NOT LIKE", "*bakery*"), {DRIVE}),
        (("client", "IS EMPTY", ""), {DRIVE}),
        (("client", "=", "lost-client"), {DRIVE}),
        (("client_id", "=", "EFS-19652"), {FILE, MAIL}),
        (("client_id", "IN", "19652, 7"), {FILE, MAIL}),
        (("client_id", ">", "19652"), set()),
        (("client_id", "!=", "19652"), {DRIVE}),
        (("state", "=", "parked"), {DRIVE}),
        (("received", "<", "2026-03-02"), {DRIVE}),
        (("received", ">", "2026-03-01 09:30"), {FILE, MAIL}),
        (("received", "=", "2026-03-01 09:30"), {DRIVE}),
        (("occurred", "=", "2026-03-01"), {DRIVE}),
        (("notification_status", "=", "failed"), {FILE}),
        (("notification_status", "!=", "failed"), {MAIL, DRIVE}),
        (("notification_action", "IN", "ticket,synchronize"), {FILE, MAIL}),
        (("notification_outcome", "LIKE", "closed?"), {MAIL}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
@pytest.mark.parity("S4-56")
def test_S4_56_a_line_finds_just_the_events_that_meet_it(log, line, summaries):
    assert found(line) == summaries


def test_all_lines_must_be_met(log):
    assert found(("severity", "!=", "info"), ("error_list", "LIKE", "?*")) == {FILE}


@pytest.mark.parity("S4-64")
def test_S4_64_the_old_sentence_of_a_refused_sign_in_finds_ours(log):
    Delivery.objects.filter(status="failed").update(
        error_kind="sign_in_refused", error_text="The PSA refused the credentials."
    )
    assert found(("error_list", "LIKE", "*Username or password is incorrect*")) == {FILE}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (("colour", "=", "red"), "There is no field “colour”"),
        (("severity", "LIKE", "e*"), "Severity cannot be compared with “LIKE”; use =, !=, IN."),
        (("severity", "=", "awful"), "“awful” is none of info, success"),
        (("event_type", "=", " "), "Type what to look for."),
        (("received", "<", "yesterday"), "“yesterday” is no date"),
        (("received", "<", "2026-02-30"), "2026-02-30"),
        (("received", "<", "0001-01-01"), "too far away"),
        (("client_id", "=", "Bakery"), "is no client id"),
        (("event_id", "=", "12"), "is no id of ours"),
        (("source", "IN", ",,"), "Type 1 to 200 values"),
        (("event_information", "LIKE", "x" * 301), "At most 300 characters."),
    ],
    ids=str,
)
def test_what_cannot_be_searched_for_is_told_with_what_to_type(line, sentence):
    with timezone.override(ZoneInfo("Asia/Tokyo")), pytest.raises(NotUnderstood) as refusal:
        eventgrammar.meaning(Condition(*line), 3)
    assert sentence in refusal.value.text
    assert refusal.value.place == 3


letters = st.text(alphabet="aB%_\\?*'é\n", max_size=8)


@given(pattern=letters, text=letters)
@settings(max_examples=150, deadline=None)
def test_the_database_and_python_agree_about_wildcards(pattern, text):
    partner = Partner(name=text, slug=clock.new_id().hex)
    partner.save()
    in_database = Partner.objects.filter(pk=partner.pk, name__wildcards=pattern).exists()
    # SQLite knows small and capital letters of ASCII only.
    assert in_database == wildcards.matches(pattern, text)


@given(
    field=st.sampled_from([*FIELDS, "", "x"]),
    operator=st.sampled_from([*OPERATORS, "like", "~"]),
    term=st.text(max_size=30)
    | st.sampled_from(["19652", "2026-11-20", "9999-12-31", "99999999999999999999", "a\x00b"]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_is_found_or_refused(field, operator, term):
    try:
        wanted = eventgrammar.meaning(Condition(field, operator, term))
    except NotUnderstood:
        return
    list(Event.objects.filter(wanted).values_list("pk"))


# --- Pages ------------------------------------------------------------------------------------------------------------

ERRORS = {"tab": "advanced", "field": "error_list", "op": "LIKE", "term": "?*"}


def test_the_page_shows_the_errors_and_the_lines_that_asked_for_them(log):
    text = signed_in(log.manager).get(reverse("event_log"), ERRORS).content.decode()
    assert FILE in text
    assert MAIL not in text
    assert 'value="?*"' in text


def test_a_line_that_is_not_understood_is_told_beside_it(log):
    query = {"tab": "advanced", "field": "received", "op": "<", "term": "soon"}
    text = signed_in(log.manager).get(reverse("event_log"), query).content.decode()
    assert "“soon” is no date; type it like 2026-11-20 or 2026-11-20 14:05." in text
    assert FILE not in text


def test_times_are_read_in_the_partners_zone(log):
    log.world.partner.time_zone = "Asia/Tokyo"
    log.world.partner.save()
    query = {"tab": "advanced", "field": "received", "op": "=", "term": "2026-03-01 18:30"}
    assert DRIVE in signed_in(log.manager).get(reverse("event_log"), query).content.decode()


def test_a_rare_thing_is_looked_for_no_further_than_that_and_the_page_says_how_far(
    log, monkeypatch, django_assert_max_num_queries
):
    for number in range(60):
        happened(log.world, summary=f"noise {number}", type="noise")
    happened(log.world, summary="needle", received_at=datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(eventsearch, "LOOKED_AT", 40)
    browser = signed_in(log.manager)
    query = {"tab": "advanced", "field": "event_information", "op": "=", "term": "needle"}
    with django_assert_max_num_queries(12):
        answer = browser.get(reverse("event_log"), query)
    assert "Search further back" in answer.content.decode()
    seen = 0
    while (page := answer.context["page"]).before:
        assert page.rows == []
        answer = browser.get(reverse("event_log"), {**query, "before": str(page.before)})
        seen += 1
    assert [row.summary for row in answer.context["page"].rows] == ["needle"]
    assert seen == 1


def test_going_on_neither_loses_nor_repeats_a_row(log, monkeypatch):
    Event.objects.all().delete()
    moments = [datetime(2026, 1, 1 + number // 9, tzinfo=UTC) for number in range(60)]
    for number, at in enumerate(moments):
        happened(log.world, summary=f"{'odd' if number % 3 else 'third'} {number}", received_at=at)
    monkeypatch.setattr(eventsearch, "LOOKED_AT", 11)
    wanted = EventFilter(conditions=(Condition("event_information", "LIKE", "third*"),))
    rows, before = [], None
    for _ in range(60):
        page = eventsearch.look(Event.objects.all(), wanted, by="received_at", before=before, size=3)
        rows += [row.pk for row in page.rows]
        before = page.before
        if before is None:
            break
    expected = Event.objects.filter(summary__startswith="third").order_by("-received_at", "-pk")
    assert rows == list(expected.values_list("pk", flat=True))


def test_the_file_has_what_the_search_finds_and_runs_no_formula(log):
    happened(log.world, summary="=HYPERLINK(1)", source="-evil")
    answer = signed_in(log.manager).get(reverse("event_export"))
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0].startswith("\ufeffReceived,Occurred,Severity")
    assert len(lines) == 1 + Event.objects.count()
    assert sum("'=HYPERLINK(1)" in line and "'-evil" in line for line in lines) == 1
    answer = signed_in(log.manager).get(reverse("event_export"), ERRORS)
    assert len(b"".join(answer.streaming_content).splitlines()) == 2


def test_another_partner_finds_and_downloads_nothing(log):
    stranger = signed_in(log.stranger)
    assert FILE not in stranger.get(reverse("event_log"), ERRORS).content.decode()
    assert FILE.encode() not in b"".join(stranger.get(reverse("event_export")).streaming_content)


# --- Saved searches ---------------------------------------------------------------------------------------------------

QUERY = "tab=advanced&field=error_list&op=LIKE&term=%3F%2A"


def test_a_search_is_kept_and_found_again(log):
    browser = signed_in(log.manager)
    browser.post(reverse("save_search"), {"name": "Errors", "query": QUERY})
    kept = SavedSearch.objects.get()
    assert EventFilter.of_json(kept.wanted).conditions == (Condition("error_list", "LIKE", "?*"),)
    assert f"?{QUERY}" in browser.get(reverse("event_log")).content.decode().replace("&amp;", "&")


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_colleague_sees_it_only_when_it_is_shared(log, is_shared):
    signed_in(log.manager).post(
        reverse("save_search"),
        {"name": "Night shift", "query": QUERY, **({"is_shared": "on"} if is_shared else {})},
    )
    colleague = signed_in(make.user(log.world.partner, email="colleague@example.com"))
    assert ("Night shift" in colleague.get(reverse("event_log")).content.decode()) is is_shared
    answer = colleague.post(reverse("delete_search", args=[SavedSearch.objects.get().pk]))
    assert answer.status_code == (302 if is_shared else 404)


# --- REST -------------------------------------------------------------------------------------------------------------


def test_the_rest_door_takes_the_same_lines(log):
    api = make.api(make.token(log.world.partner))
    answer = api.get("/api/v1/events", {"where": ["error_list like ?*", "severity = error"]}).json()
    assert [row["summary"] for row in answer["results"]] == [FILE]
    assert answer["next"] is None


def test_the_rest_door_goes_on_where_a_page_stopped_looking(log, monkeypatch):
    monkeypatch.setattr(eventsearch, "LOOKED_AT", 1)
    api = make.api(make.token(log.world.partner))
    url, seen = "/api/v1/events?where=severity+%3D+critical", []
    while url:
        answer = api.get(url).json()
        seen.append([row["summary"] for row in answer["results"]])
        url = answer["next"]
    assert [summary for page in seen for summary in page] == [DRIVE]
    assert len(seen) > 1


@pytest.mark.parametrize("line", ["nonsense", "received < soon", "severity LIKE e*", ""])
def test_a_line_that_cannot_be_read_is_a_problem_with_a_sentence(log, line):
    answer = make.api(make.token(log.world.partner)).get(
        "/api/v1/events", {"where": ["state = parked", line]}
    )
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["place"]) == ("unknown_value", 1)


def test_reprocess_over_rest_counts_first_and_goes_through_the_log(log):
    api = make.api(make.token(log.world.partner))
    dry = api.post(
        "/api/v1/deliveries/reprocess", {"status": "failed", "dry_run": True}, format="json"
    ).json()
    assert dry == {"reprocessing": 0, "verdicts": {"again": 1}}
    assert Delivery.objects.filter(status="failed").count() == 1
    bulk = api.post("/api/v1/deliveries/reprocess", {"where": ["error_list LIKE ?*"]}, format="json").json()
    told = api.get(bulk["bulk"]).json()
    assert (told["state"], told["is_dry_run"]) == ("running", False)
    other = make.api(make.token(make.partner("Other MSP")))
    assert other.get(bulk["bulk"]).status_code == 404
    vendor = make.api(make.token(None)).post(
        "/api/v1/deliveries/reprocess", {"where": ["state = parked"]}, format="json"
    )
    assert vendor.json()["code"] == "partner_needed"


def test_the_event_log_is_an_xlsx_file_too(world: make.World) -> None:
    browser = Browser()
    browser.force_login(make.user(world.partner))
    make.api(world.token).post("/api/v1/events", make.event(summary="=1+1"), format="json")
    answer = browser.get(reverse("event_export"), {"format": "xlsx"})
    book = openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert "'=1+1" in [cell.value for cell in cells]
    assert [cell for cell in cells if cell.data_type == "f"] == []
