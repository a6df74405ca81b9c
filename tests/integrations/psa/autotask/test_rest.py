from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from integrations.psa.autotask import AutotaskPsa, filters
from integrations.psa.autotask.rest import Rest
from integrations.psa.errors import (
    AddressRefused,
    NotPermitted,
    PsaError,
    SignInRefused,
    Throttled,
    Unreachable,
)
from integrations.psa.kinds import connect
from integrations.psa.port import Exchange, SignIn
from integrations.psa.transport import SharedConnection
from integrations.sandbox import Sandbox
from tests.integrations.psa.autotask.conftest import Connect, backup_failed
from tests.integrations.psa.conftest import LOCAL
from tests.integrations.psa.servers import RawServer, always, http, wait_until


def rest_of(psa: AutotaskPsa) -> Rest:
    return psa._rest


def test_it_is_made_by_kinds_without_a_call(sign_in: SignIn, sandbox: Sandbox) -> None:
    psa = connect("autotask", sign_in, policy=LOCAL)
    assert sandbox.control.requests() == []
    assert psa.choices("priority")
    psa.close()


def test_the_deployments_tracking_identifier_is_used_when_the_partner_has_none(sign_in: SignIn) -> None:
    psa = connect(
        "autotask", replace(sign_in, login_company="", client_id=sign_in.login_company), policy=LOCAL
    )
    assert psa.choices("priority")
    psa.close()


def test_the_zone_is_asked_for_once(connected: Connect, calls: list[Exchange]) -> None:
    connected().choices("priority")
    connected().choices("product")
    assert sum("zoneInformation" in call.path for call in calls) == 1


def test_a_zone_that_moved_is_found_again_on_401(
    connected: Connect, sandbox: Sandbox, calls: list[Exchange]
) -> None:
    psa = connected()
    psa.choices("product")
    age(psa, 3600)
    sandbox.control.switches(zone_path="zone7")
    psa.apply(psa.plan_ticket(backup_failed()))
    assert rest_of(psa).zone().url.endswith("/zone7/ATServicesRest")
    assert len(sandbox.control.tickets(externalID="portal:17:1")) == 1


def age(psa: AutotaskPsa, seconds: float) -> None:
    """The zone was asked for that long ago."""
    facts = psa.transport.shared.facts
    for key, text in list(facts.items()):
        if key[0] == "zone":
            kept = json.loads(text)
            facts[key] = json.dumps({**kept, "asked_at": kept["asked_at"] - seconds})


def test_a_refused_sign_in_asks_for_the_zone_once_and_tells_all_causes(
    connected: Connect, sandbox: Sandbox, calls: list[Exchange]
) -> None:
    psa = connected()
    psa.choices("product")
    age(psa, 3600)
    sandbox.control.rotate_keys()
    for _ in range(2):
        with pytest.raises(SignInRefused) as caught:
            psa.choices("product")
    assert "tracking identifier" in caught.value.advice
    assert sum("zoneInformation" in call.path for call in calls) == 2


def test_an_unknown_user_is_named(connected: Connect, sign_in: SignIn) -> None:
    psa = connected(keys=replace(sign_in, public_key="nobody@example.com"))
    with pytest.raises(SignInRefused, match=r"nobody@example\.com"):
        psa.choices("priority")


def test_a_zone_at_another_host_gets_nothing(connected: Connect, sign_in: SignIn) -> None:
    answer = json.dumps({"url": "https://webservices5.autotask.net.evil.example/", "webUrl": ""}).encode()
    with RawServer(always(http(answer))) as server, pytest.raises(AddressRefused):
        connected(keys=replace(sign_in, site=server.url)).choices("priority")


def test_no_secret_is_left_in_what_is_kept(
    connected: Connect, sign_in: SignIn, calls: list[Exchange]
) -> None:
    psa = connected()
    psa.apply(psa.plan_ticket(backup_failed()))
    assert calls
    assert sign_in.secret not in repr(calls)


def test_all_pages_are_read_each_row_once(
    connected: Connect, sandbox: Sandbox, calls: list[Exchange]
) -> None:
    sandbox.control.reset(large={"companies": 1201})
    psa = connected()
    found = psa.companies()
    assert len({option.id for option in found}) == len(found) >= 1201
    pages = [call for call in calls if "/Companies/query" in call.path]
    assert len(pages) == (len(found) + 499) // 500
    assert {call.method for call in pages} == {"POST"}


class Pages:
    """Answers of a made-up list, for paging that goes wrong."""

    def __init__(self, next_url: Any, rows: int = 500) -> None:
        self.next_url = next_url
        self.rows = rows
        self.asked = 0

    def named(self) -> Any:
        return self.next_url

    def __call__(self, talk: Any) -> None:
        while data := talk.request():
            if b"zoneInformation" in data:
                host = f"http://127.0.0.1:{talk.server.port}"
                talk.send(http(json.dumps({"url": f"{host}/ATServicesRest/", "webUrl": ""}).encode()))
                continue
            self.asked += 1
            first = (self.asked - 1) * self.rows + 1
            items = [{"id": first + n, "companyName": "x"} for n in range(self.rows if self.asked < 3 else 1)]
            details = {"nextPageUrl": self.named()}
            talk.send(http(json.dumps({"items": items, "pageDetails": details}).encode()))


@pytest.mark.parametrize(
    "next_url", [None, "https://evil.example/ATServicesRest/V1.0/Companies/query/next?a", 5, ""]
)
def test_without_a_page_of_its_own_ids_lead_on(connected: Connect, sign_in: SignIn, next_url: Any) -> None:
    pages = Pages(next_url)
    with RawServer(pages) as server:
        found = connected(keys=replace(sign_in, site=server.url)).companies()
    assert (len(found), pages.asked) == (1001, 3)


def test_who_named_a_next_page_and_names_none_is_asked_for_no_more(
    connected: Connect, sign_in: SignIn
) -> None:
    """A thousand rows are two full pages; the second says that it is the last."""

    class Two(Pages):
        """Names the second page while it answers the first."""

        def __call__(self, talk: Any) -> None:
            self.site = f"http://127.0.0.1:{talk.server.port}"
            super().__call__(talk)

        def named(self) -> Any:
            return (
                f"{self.site}/ATServicesRest/V1.0/Companies/query/next?paging=2" if self.asked == 1 else None
            )

    pages = Two(None)
    with RawServer(pages) as server:
        found = connected(keys=replace(sign_in, site=server.url)).companies()
    assert (len(found), pages.asked) == (1000, 2)


def test_a_list_is_taken_page_by_page(connected: Connect, sign_in: SignIn) -> None:
    pages = Pages(None)
    with RawServer(pages) as server:
        taken = iter(connected(keys=replace(sign_in, site=server.url)).each_choice("company"))
        first = [next(taken) for _ in range(500)]
        assert (len(first), pages.asked) == (500, 1)
        assert (len(list(taken)), pages.asked) == (501, 3)


def test_a_page_that_leads_to_itself_ends_the_list(connected: Connect, sign_in: SignIn) -> None:
    pages = Pages(None)
    with RawServer(pages) as server:
        pages.next_url = f"{server.url}/ATServicesRest/V1.0/Companies/query/next?paging=x"
        found = connected(keys=replace(sign_in, site=server.url)).companies()
    assert pages.asked == 2
    assert len(found) == 1000


@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b"{}", b'{"items": null}', b'{"items": [null, 5, {}, {"id": null}]}', b'{"items": {"id": 1}}',
     b'{"items": [], "pageDetails": 7}', b'{"items": [{"id": "a"}]}', b"{", b"", b"<html>"],
)  # fmt: skip
def test_odd_answers_raise_nothing_but_psa_errors(connected: Connect, sign_in: SignIn, body: bytes) -> None:
    def script(talk: Any) -> None:
        while data := talk.request():
            host = f"http://127.0.0.1:{talk.server.port}"
            zone = json.dumps({"url": f"{host}/ATServicesRest/", "webUrl": ""}).encode()
            talk.send(http(zone if b"zoneInformation" in data else body))

    with RawServer(script) as server:
        psa = connected(keys=replace(sign_in, site=server.url))
        for ask in (
            psa.companies,
            lambda: psa.choices("status"),
            lambda: psa.choices("agreement"),
            lambda: psa.lines("1"),
            lambda: psa.ticket("1"),
            lambda: psa.find_tickets("a"),
            lambda: psa.apply(psa.plan_ticket(backup_failed())),
            psa.threshold,
        ):
            with contextlib.suppress(PsaError):
                ask()


def test_errors_on_a_yes_are_still_errors(connected: Connect, sign_in: SignIn) -> None:
    def script(talk: Any) -> None:
        while data := talk.request():
            host = f"http://127.0.0.1:{talk.server.port}"
            zone = json.dumps({"url": f"{host}/ATServicesRest/", "webUrl": ""}).encode()
            told = b'{"errors": ["queueID is required"], "itemId": null}'
            talk.send(http(zone if b"zoneInformation" in data else told))

    with RawServer(script) as server:
        rest = rest_of(connected(keys=replace(sign_in, site=server.url)))
        with pytest.raises(PsaError, match="queueID is required"):
            rest.write("POST", "/Tickets", {}, entity="Tickets")


def test_a_missing_right_is_told_with_its_module(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.role(contracts="None")
    with pytest.raises(NotPermitted) as caught:
        psa.choices("agreement")
    assert caught.value.module == "Contracts"


@pytest.mark.parametrize("status", [429, 500])
def test_too_many_at_once_waits_shortly(connected: Connect, sandbox: Sandbox, status: int) -> None:
    """Another process of ours, with turns of its own, is at the same entity."""
    ours, other = connected(), SharedConnection(LOCAL)
    ours.choices("product")
    sandbox.control.switches(threads_per_entity=1, thread_limit_status=status, answer_seconds=0.6)
    theirs = threading.Thread(target=lambda: connected(over=other).choices("product"))
    theirs.start()
    assert wait_until(lambda: any(key[0] == "zone" for key in other.facts))
    time.sleep(0.1)
    with pytest.raises(Throttled) as caught:
        ours.choices("product")
    theirs.join()
    other.close()
    assert caught.value.retry_after <= 5


def test_threads_of_one_connection_never_trip_the_limit(connected: Connect, sandbox: Sandbox) -> None:
    sandbox.control.switches(answer_seconds=0.02)
    connected().choices("product")
    errors: list[PsaError] = []

    def work() -> None:
        try:
            for _ in range(3):
                connected().choices("product")
        except PsaError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_spent_hour_is_told_by_the_limit(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.switches(slow_seconds=0.0, slower_seconds=0.0)
    sandbox.control.post("usage", {"used": 9_990})
    assert psa.threshold().share > 0.99
    sandbox.control.post("usage", {"used": 100})
    with pytest.raises(Throttled):
        psa.choices("product")


def test_a_shared_budget_is_asked_before_every_call(connected: Connect, sandbox: Sandbox) -> None:
    taken: list[str] = []

    class Counted:
        def take(self, entity: str, importance: str = "note") -> None:
            if len(taken) == 3:
                raise Throttled("spent", retry_after=60.0)
            taken.append(entity)

    shared = SharedConnection(LOCAL, budget=Counted())
    psa = connected(over=shared)
    psa.choices("product")
    psa.choices("product")
    with pytest.raises(Throttled):
        psa.choices("product")
    assert taken == ["ZoneInformation", "Services", "Services"]
    assert sum("Services" in entry["path"] for entry in sandbox.control.requests()) == 2
    shared.close()


def test_notes_ask_for_less_of_the_hour_than_opens_and_closes(connected: Connect) -> None:
    """A note of a ticket waits for its turn although the ticket itself goes first."""
    asked: list[tuple[str, str]] = []

    class NoNotes:
        def take(self, entity: str, importance: str = "note") -> None:
            asked.append((entity, importance))
            if entity == "TicketNotes" and importance != "ticket":
                raise Throttled("kept for tickets", retry_after=60.0, importance=importance)

    shared = SharedConnection(LOCAL, budget=NoNotes())
    psa = connected(over=shared)
    psa.transport.importance = "ticket"
    opened = psa.apply(psa.plan_ticket(backup_failed())).items[0].record_id
    noted = psa.plan_ticket(backup_failed(known_id=opened, note="Still failing."))
    asked.clear()
    with pytest.raises(Throttled) as caught:
        psa.apply(noted)
    assert asked == [("TicketNotes", "note")]
    assert caught.value.importance == "note"
    assert not caught.value.outcome_unknown
    psa.apply(psa.plan_ticket(backup_failed(known_id=opened, state="closed")))
    assert ("Tickets", "ticket") in asked
    shared.close()


def test_reads_by_post_are_reads(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    """A query whose answer is lost leaves nothing unknown, and no hook of writes is asked."""

    def never() -> None:
        raise AssertionError("a read is no write")

    psa.transport.before_write = never
    sandbox.control.fault("html_503", path="Services/query", times=1)
    with pytest.raises(Unreachable) as caught:
        psa.choices("product")
    assert not caught.value.outcome_unknown
    assert psa.transport.writes == 0


def test_a_filter_of_a_name_with_quotes_is_harmless(psa: AutotaskPsa) -> None:
    assert psa.companies('Ott" or "1"="1') == []
    assert [option.name for option in psa.companies("bakery")] == ["Bakery Ott"]
    assert filters.equals("id", 1).op == "eq"
