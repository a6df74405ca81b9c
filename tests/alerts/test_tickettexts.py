"""Templates name values and nothing else, and always fit the PSA."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import tickettexts
from alerts.models import ClientAddress, Condition
from alerts.tickettexts import KNOWN, Problem
from integrations.models import Event
from portal import clock
from portal.models import Account, Client


def problem(summary: str = "Backup of SRV-01 failed", **fields: str) -> Problem:
    client = Client(name=fields.pop("client", "Bakery Ott"), number=19652)
    condition = Condition(
        client=client,
        account=Account(client=client, key="SRV-01"),
        key="backup:SRV-01",
        severity="error",
        summary=summary,
        repeats=2,
        since=clock.now(),
        decided_at=clock.now(),
    )
    event = Event(
        type="backup.failed", severity="error", source="backup", occurred_at=clock.now(), details="Error 18"
    )
    return Problem(condition, event, ClientAddress(city="Tampa"), lambda: "Europe/Berlin")


def test_every_placeholder_has_a_value_a_meaning_and_an_example() -> None:
    for one in KNOWN.values():
        filled = tickettexts.body_of(f"<{{{one.name}}}>", problem())
        assert filled.startswith("<")
        assert "{" not in filled
        assert one.meaning
        assert one.example


def test_what_is_named_is_filled_in() -> None:
    text = tickettexts.body_of(
        "{client} ({managed_id}) {account}: {severity} {type} x{count} {{as is}}", problem()
    )
    assert text == "Bakery Ott (EFS-19652) SRV-01: error backup.failed x3 {as is}"


@pytest.mark.parametrize(
    "template",
    [
        "{client.partner}",
        "{client!r}",
        "{client:>99}",
        "{0}",
        "{}",
        "{__class__}",
        "{client",
        "a } b",
        "{ client }",
    ],
)
def test_anything_but_a_plain_known_name_is_refused_with_the_list_of_names(template: str) -> None:
    [(code, text)] = tickettexts.faults_of(template + " {summary}", is_summary=True)
    assert code == "unknown_placeholder"
    assert "{client}" in text
    assert "{event_url}" in text


def test_a_value_is_never_read_as_a_template() -> None:
    assert tickettexts.body_of("{summary}", problem(summary="{client} {nothing}")) == "{client} {nothing}"


def test_fixed_words_must_leave_room() -> None:
    [(code, text)] = tickettexts.faults_of("x" * 90 + "{summary}", length=100, is_summary=True)
    assert (code, "90 of the 100" in text) == ("too_long", True)
    assert tickettexts.faults_of("x" * 90 + "{summary}", length=255, is_summary=True) == []


@pytest.mark.parametrize(
    ("template", "code"), [("Backup failed", "no_placeholder"), ("{summary}\nx", "several_lines")]
)
def test_a_summary_tells_tickets_apart_on_one_line(template: str, code: str) -> None:
    assert [found for found, _ in tickettexts.faults_of(template, is_summary=True)] == [code]


def test_what_is_too_long_is_cut_in_the_values_and_not_in_the_words() -> None:
    long = problem(
        summary="Backup of the very important file server SRV-FILE01 failed: " + "x" * 400 + " disk 7"
    )
    text = tickettexts.summary_of("[Vendor] {client}: {summary} (P1)", long, length=100)
    assert len(text) <= 100
    assert text.startswith("[Vendor] Bakery Ott: Backup of")
    assert text.endswith("disk 7 (P1)")


def test_in_the_catch_all_company_the_client_comes_first_unless_it_is_named() -> None:
    assert tickettexts.summary_of(None, problem(), length=100, names_client=True).startswith(
        "Bakery Ott: Backup"
    )
    named = tickettexts.summary_of("{summary} at {client}", problem(), length=100, names_client=True)
    assert named == "Backup of SRV-01 failed at Bakery Ott"


@given(
    summary=st.text(max_size=500),
    client=st.text(min_size=1, max_size=200),
    template=st.sampled_from(
        ["{summary}", "{client}: {summary}", "[x] {account} {summary} {type} ({severity})"]
    ),
    length=st.sampled_from([100, 255]),
)
def test_a_summary_always_fits_on_one_line(summary: str, client: str, template: str, length: int) -> None:
    text = tickettexts.summary_of(template, problem(summary=summary, client=client), length=length)
    assert len(text) <= length
    assert len(text.splitlines()) <= 1


@pytest.mark.parity("S2-5")
def test_the_boot_screenshot_is_linked_in_the_ticket() -> None:
    about = problem()
    about.event.data = {"screenshot_url": "https://backup.example/boot/srv-01.png?expires=1"}
    assert "\nScreenshot: https://backup.example/boot/srv-01.png?expires=1" in tickettexts.body_of(
        None, about
    )
    assert (
        tickettexts.body_of("{screenshot_url}", about) == "https://backup.example/boot/srv-01.png?expires=1"
    )


@pytest.mark.parametrize(
    "value",
    ["http://backup.example/a", "javascript:alert(1)", "https://x/\nStatus: closed", "https://a@b.example/x",
     "https://x/ y", ["https://x/y"], None, "https://x/" + "y" * 1001],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_no_screenshot(value: object) -> None:
    about = problem()
    about.event.data = {"screenshot_url": value}
    assert "Screenshot" not in tickettexts.body_of(None, about)
