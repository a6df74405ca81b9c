"""The parts of the Autotask adapter that need no server: zones, filters, refusals, periods, budget."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import UTC, date, datetime
from typing import Any

import pytest

from integrations.psa.addresses import AddressPolicy
from integrations.psa.answers import Answer
from integrations.psa.autotask import filters
from integrations.psa.autotask.limits import RollingBudget, Turns
from integrations.psa.autotask.opening import SUMMARY_LENGTH
from integrations.psa.autotask.periods import Change, Period, Problem, change_on, units_from
from integrations.psa.autotask.refusals import refusal
from integrations.psa.autotask.zones import remembered, zone_of
from integrations.psa.errors import (
    AddressRefused,
    Misconfigured,
    NotFound,
    NotPermitted,
    PsaError,
    Rejected,
    SignInRefused,
    Throttled,
    Unreachable,
)
from integrations.psa.site import AUTOTASK_SITE, normalise_autotask_site
from integrations.psa.texts import cut_summary
from tests.integrations.psa.conftest import LOCAL

STRICT = AddressPolicy()


def zone(url: str, *, web: str = "", policy: AddressPolicy = STRICT, asked: str = AUTOTASK_SITE) -> Any:
    return zone_of({"url": url, "webUrl": web}, asked=asked, policy=policy, now=0.0)


# --- Where Autotask is ------------------------------------------------------------------------------------------------


def test_the_zone_is_where_autotask_says() -> None:
    found = zone("https://webservices31.autotask.net/ATServicesRest/", web="https://ww31.autotask.net/")
    assert found.url == "https://webservices31.autotask.net/ATServicesRest"
    assert found.web_url == "https://ww31.autotask.net"


@pytest.mark.parametrize(
    "url",
    [
        "http://webservices5.autotask.net/ATServicesRest/",
        "https://webservices5.autotask.net.evil.example/ATServicesRest/",
        "https://evil.example/webservices5.autotask.net/",
        "https://webservices5.autotask.net@evil.example/",
        "https://webservices5.autotask.net:8443/",
        "https://webservices.autotask.net/",
        "https://webservices5.autotask.net/a?b=c",
        "https://webservices5.autotask.net/../x y/",
        "https://127.0.0.1/",
        "https://[::1",
    ],
)
def test_a_zone_elsewhere_gets_no_secret(url: str) -> None:
    with pytest.raises(AddressRefused):
        zone(url)


def test_a_test_network_may_be_its_own_zone() -> None:
    asked = "http://127.0.0.1:8765"
    assert zone("http://127.0.0.1:8765/ATServicesRest/", policy=LOCAL, asked=asked).url.endswith(
        "/ATServicesRest"
    )
    with pytest.raises(AddressRefused):
        zone("http://203.0.113.9/", policy=LOCAL, asked=asked)


@pytest.mark.parametrize("data", [None, {}, {"url": None}, {"url": 5}, []])
def test_an_answer_without_a_zone_is_no_answer(data: Any) -> None:
    with pytest.raises(Unreachable):
        zone_of(data, asked=AUTOTASK_SITE, policy=STRICT, now=0.0)


def test_a_link_to_another_host_is_left_out() -> None:
    assert zone("https://webservices5.autotask.net/", web="https://evil.example/").web_url == ""


def test_a_kept_zone_is_judged_again() -> None:
    found = zone("https://webservices5.autotask.net/ATServicesRest/")
    assert remembered(found.as_text(), asked=AUTOTASK_SITE, policy=STRICT) == found
    assert (
        remembered(
            found.as_text().replace("autotask.net", "evil.example"), asked=AUTOTASK_SITE, policy=STRICT
        )
        is None
    )
    assert remembered("nonsense", asked=AUTOTASK_SITE, policy=STRICT) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "autotask.net",
        "www.autotask.net",
        "ww5.autotask.net",
        "https://ww5.autotask.net/Mvc/ServiceDesk/TicketDetail.mvc?ticketId=7",
        "https://webservices5.autotask.net/ATServicesRest/V1.0/",
    ],
)
def test_an_autotask_site_needs_no_url(text: str) -> None:
    assert normalise_autotask_site(text, policy=STRICT) == AUTOTASK_SITE


@pytest.mark.parametrize(
    "text", ["evil.example", "notautotask.net", "autotask.net.evil.example", "http://ww5.autotask.net"]
)
def test_another_site_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        normalise_autotask_site(text, policy=STRICT)


def test_a_test_network_is_kept_without_the_api_path() -> None:
    for text in ("http://127.0.0.1:8765", "http://127.0.0.1:8765/ATServicesRest/V1.0/"):
        assert normalise_autotask_site(text, policy=LOCAL) == "http://127.0.0.1:8765"


# --- Filters ----------------------------------------------------------------------------------------------------------


def test_a_filter_holds_typed_values() -> None:
    at = datetime(2026, 2, 1, 10, tzinfo=UTC)
    found = filters.as_json(
        "Tickets", [filters.since("createDate", at), filters.starts_with("externalID", "portal:")]
    )
    assert found == [
        {"op": "gte", "field": "createDate", "value": "2026-02-01T10:00:00Z"},
        {"op": "beginsWith", "field": "externalID", "value": "portal:"},
    ]


def test_an_empty_filter_asks_for_every_id() -> None:
    assert filters.as_json("Tickets", []) == [{"op": "gte", "field": "id", "value": 0}]


def test_a_field_that_is_not_allowed_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="not a field"):
        filters.as_json("Tickets", [filters.equals('externalID","op":"exist', 1)])


def test_invisible_letters_do_not_travel() -> None:
    value = filters.as_json("Companies", [filters.contains("companyName", "Ba\x00ke\u200bry\ud800")])[0][
        "value"
    ]
    assert value == "Bakery"


# --- Refusals ---------------------------------------------------------------------------------------------------------


def refused(*errors: str, status: int = 500, is_write: bool = True, entity: str = "Tickets") -> PsaError:
    text = json.dumps({"errors": list(errors)}) if errors else ""
    return refusal(Answer(status=status, text=text), entity=entity, is_write=is_write)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Picklist value [99] does not exist for priority. ; on record number [1].", "priority"),
        ("dueDateTime is required.; on record number [0].", "due_in_hours"),
        ("queueID is required", "board"),
        ("Reference value on field: contactID of type: Contact does not exist or is invalid.", "contact"),
        ("contactID: Value 123 does not exist or is invalid", "contact"),
        ("Value does not exist for the required field ServiceID. ; on record number [1].", "product"),
        (
            "Data violation: AssignedResourceID, AssignedResourceRoleID, and QueueID cannot all be empty.",
            "board",
        ),
        ("ContractServiceAdjustment effectiveDate must be between the start date and end date.", "agreement"),
        (
            "Unable to make changes as it would modify an already approved and posted contract period",
            "agreement",
        ),
        ("Warranty is required.", "Warranty"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(text: str, field: str) -> None:
    error = refused(text)
    assert isinstance(error, Misconfigured)
    assert (error.field, error.outcome_unknown) == (field, False)
    assert error.advice


def test_a_missing_right_names_the_click_path() -> None:
    error = refused(
        "The logged in Resource does not have the adequate permissions to create this entity type."
    )
    assert isinstance(error, NotPermitted)
    assert error.module == "Service Desk > Tickets"
    assert "Security Levels" in error.advice


def test_403_is_a_missing_right_too() -> None:
    assert isinstance(refused(status=403, entity="Contracts"), NotPermitted)


def test_401_names_all_four_causes() -> None:
    error = refused(status=401)
    assert isinstance(error, SignInRefused)
    for cause in ("user name", "secret", "tracking identifier", "zone", "API User"):
        assert cause in error.advice


@pytest.mark.parametrize("is_write", [True, False])
def test_500_without_words_leaves_a_write_unknown(is_write: bool) -> None:
    error = refused(is_write=is_write)
    assert isinstance(error, Unreachable)
    assert error.outcome_unknown is is_write


def test_trouble_in_words_leaves_a_write_unknown() -> None:
    error = refused("Execution Timeout Expired. The timeout period elapsed.")
    assert isinstance(error, Unreachable)
    assert error.outcome_unknown


def test_too_many_at_once_is_over_soon_whatever_its_status() -> None:
    for status in (429, 500):
        error = refused("The thread threshold of 3 threads has been exceeded.", status=status)
        assert isinstance(error, Throttled)
        assert error.retry_after <= 5


def test_other_refusals_are_final() -> None:
    assert type(refused("The unit change would be negative.")) is Rejected
    assert isinstance(refused("No matching records found"), NotFound)
    assert isinstance(refused("Attempt to insert duplicate data into contract_service_period"), Rejected)


# --- Periods ----------------------------------------------------------------------------------------------------------


def month(number: int, units: int, *, posted: bool = False, year: int = 2026) -> Period:
    starts = date(year, number, 1)
    ends = date(year + number // 12, number % 12 + 1, 1)
    return Period(
        line_id="1",
        service_id="2",
        starts=starts,
        ends=date.fromordinal(ends.toordinal() - 1),
        units=units,
        is_posted=posted,
    )


FIRST, LAST, TODAY = date(2026, 1, 1), date(2026, 12, 31), date(2026, 2, 10)


def test_a_month_is_changed_from_its_first_day() -> None:
    assert change_on([month(2, 40), month(3, 40)], TODAY, FIRST, LAST) == Change(
        on=date(2026, 2, 1), units=40
    )


def test_rows_of_the_future_do_not_count() -> None:
    change = change_on([month(2, 40), month(3, 99)], TODAY, FIRST, LAST)
    assert isinstance(change, Change)
    assert change.units == 40


def test_a_longer_period_is_changed_from_today() -> None:
    year = Period(line_id="1", service_id="2", starts=FIRST, ends=LAST, units=4, is_posted=False)
    assert change_on([year], TODAY, FIRST, LAST) == Change(on=TODAY, units=4)


def test_a_period_that_was_cut_is_changed_from_today() -> None:
    cut = Period(
        line_id="1", service_id="2", starts=date(2026, 2, 5), ends=date(2026, 2, 28), units=4, is_posted=False
    )
    assert change_on([cut], TODAY, FIRST, LAST) == Change(on=TODAY, units=4)


def test_after_a_posted_period_comes_the_next_open_one() -> None:
    change = change_on([month(2, 40, posted=True), month(3, 41)], TODAY, FIRST, LAST)
    assert change == Change(on=date(2026, 3, 1), units=41, is_after_posted=True)
    change = change_on([month(2, 40, posted=True)], TODAY, FIRST, LAST)
    assert change == Change(on=date(2026, 3, 1), units=40, is_after_posted=True)


@pytest.mark.parametrize(
    ("periods", "code"),
    [
        ([month(1, 5)], "line_cancelled"),
        ([month(3, 5)], "line_out_of_range"),
        ([month(2, 5), month(2, 6)], "units_unclear"),
    ],
)
def test_what_cannot_be_told_is_for_a_person(periods: list[Period], code: str) -> None:
    problem = change_on(periods, TODAY, FIRST, LAST)
    assert isinstance(problem, Problem)
    assert problem.code == code


def test_a_last_period_that_is_posted_cannot_be_changed() -> None:
    problem = change_on([month(2, 5, posted=True)], TODAY, FIRST, date(2026, 2, 28))
    assert isinstance(problem, Problem)
    assert problem.code == "period_posted"


def test_units_carry_on_into_a_period_that_has_no_row_yet() -> None:
    assert units_from([month(2, 40)], date(2026, 3, 1), TODAY) == 40
    assert isinstance(units_from([month(2, 40)], date(2026, 3, 2), TODAY), Problem)
    assert isinstance(units_from([month(2, 40, posted=True)], date(2026, 2, 1), TODAY), Problem)


def test_a_change_from_the_first_of_the_month_looks_at_the_units_of_today() -> None:
    early = Period(
        line_id="1", service_id="2", starts=date(2026, 2, 1), ends=date(2026, 2, 8), units=40, is_posted=False
    )
    late = Period(
        line_id="1",
        service_id="2",
        starts=date(2026, 2, 9),
        ends=date(2026, 2, 28),
        units=47,
        is_posted=False,
    )
    assert units_from([early, late], date(2026, 2, 1), TODAY) == 47


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_simulated_hour_never_takes_more_than_half_of_the_calls() -> None:
    now = [0.0]
    budget = RollingBudget(clock=lambda: now[0])
    taken: list[float] = []
    for _ in range(20_000):
        now[0] += 0.36
        with contextlib.suppress(Throttled):
            budget.take("Tickets")
            taken.append(now[0])
    busiest = max(sum(1 for at in taken if start <= at < start + 3600) for start in range(0, 7200, 60))
    assert busiest <= 5_000
    assert len(taken) > 5_000


def test_no_more_than_two_at_once_for_an_entity() -> None:
    turns, inside, most, lock = Turns(), [0], [0], threading.Lock()
    gate = threading.Barrier(6)

    def work() -> None:
        gate.wait()
        with turns.turn("Tickets"):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_who_waits_too_long_for_a_turn_comes_again() -> None:
    turns = Turns(at_once=1)
    with turns.turn("Tickets"), pytest.raises(Throttled), turns.turn("Tickets", within=0.01):
        pass
    with turns.turn("Tickets", within=0.01):
        pass


def test_a_long_summary_keeps_its_tail() -> None:
    cut = cut_summary(f"Backup failed {'x' * 300} on SRV-01", SUMMARY_LENGTH)
    assert len(cut) <= 255
    assert cut.endswith("on SRV-01")


def test_a_500_without_its_list_of_errors_is_not_the_word_of_autotask() -> None:
    """A gateway in the cloud says so when it waited in vain, and Autotask may still be at work."""
    for message in ("Internal server error", "The request has timed out."):
        answer = Answer(status=500, text=json.dumps({"message": message}))
        error = refusal(answer, entity="Tickets", is_write=True)
        assert isinstance(error, Unreachable)
        assert (error.outcome_unknown, error.was_answered) == (True, False)
