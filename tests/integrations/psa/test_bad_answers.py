"""What both adapters make of answers that no PSA should give (F9, F13, F14 and F15): each verb of the port, over a real
socket. Nothing but a `PsaError` comes out, in bounded time and memory, and a write is never believed to have failed.
"""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.rest import headers_for
from integrations.psa.errors import PsaError, Throttled, Unreachable
from integrations.psa.plan import Plan, PlanItem, Request
from integrations.psa.port import Psa, SignIn
from integrations.psa.reportsetup import WantedReference, WantedSetup
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import (
    WantedDevice,
    WantedLine,
    WantedLines,
    WantedProduct,
    WantedReport,
    WantedTicket,
)
from tests.integrations.psa.conftest import LOCAL
from tests.integrations.psa.servers import RawServer, Script, always, http
from tests.integrations.psa.test_transport import (
    bomb,
    drip_the_body,
    drip_the_head,
    endless_chunks,
    endless_continue,
    endless_headers,
    gigabyte,
    half_a_body,
    reset,
    silence,
)

KINDS = ("connectwise", "autotask")
PATHS = {
    "connectwise": {
        "ticket": "/service/tickets",
        "line": "/finance/agreements/401/additions/3001",
        "report": "/company/companies/250/managementSummaryReports",
        "product": "/procurement/catalog",
    },
    "autotask": {
        "ticket": "/Tickets",
        "line": "/Contracts/401/Services",
        "report": "/ConfigurationItems",
        "product": "/Services",
    },
}


def connected(kind: str, url: str, shared: SharedConnection, deadline: float) -> Psa:
    """An adapter that has discovered its codebase or zone already, so that the bad answer meets the verb itself."""
    sign_in = SignIn(site=url, login_company="cirrus", public_key="k@cirrus.example", secret="s" * 20)
    transport = Transport(url, shared=shared, headers=headers_for(sign_in), deadline=deadline)
    if kind == "connectwise":
        return ConnectWisePsa(sign_in, transport=transport, codebase="v2026_4")
    zone = {"url": f"{url}/atservicesrest", "web_url": "", "asked_at": time.time()}
    shared.facts["zone", url, sign_in.public_key] = json.dumps(zone)
    return AutotaskPsa(sign_in, transport=transport, pause=lambda seconds: None)


def write_of(kind: str, record: str) -> Plan:
    """A plan of one write, as a person approved it a minute ago."""
    path = PATHS[kind][record]
    records = {
        "ticket": "ticket",
        "line": "line",
        "report": "management report entry",
        "product": "product",
    }
    item = PlanItem(
        key="create",
        action="create",
        record=records[record],
        record_id=None,
        before={},
        after={"quantity": "5"} if record == "line" else {"successful_jobs": 5},
        reason="It is wanted.",
        request=Request(method="POST" if record in ("ticket", "product") else "PATCH", path=path, body={}),
    )
    return Plan(subject="x", items=(item,))


REPORT = WantedReport(
    company_id="250",
    managed_id="EFS-19652",
    solution="EFS Backup",
    successful_jobs=1,
    failed_jobs=0,
    devices=(WantedDevice(serial_number="SN1", name="SRV-01"),),
)
LINES = WantedLines(
    agreement_id="401",
    agreement_name="Backup",
    company_id="250",
    lines=(WantedLine(key="gb", product_id="301", product_name="GB", quantity=Decimal(5)),),
)
REFERENCE = WantedReference(
    service="GB",
    vendor_type="Storage",
    vendor_level="Basic",
    product_id="301",
    product_name="GB",
    configuration_type="Backup Stats",
    agreement_type="Backup",
)
CLOSED = WantedTicket(external_ref="p:1", state="closed", company_id="250", summary="x", known_id="17")
OPENED = WantedTicket(
    external_ref="p:1", state="open", company_id="250", summary="x", board_id="2", priority_id="2"
)
READS: dict[str, Callable[[Psa], Any]] = {
    "check": lambda psa: psa.check(("tickets", "closing", "billing", "statistics")),
    "companies": lambda psa: psa.companies("a"),
    "statuses": lambda psa: psa.choices("status", "2"),
    "items": lambda psa: psa.choices("item", "2"),
    "products": lambda psa: psa.choices("product"),
    "agreements": lambda psa: psa.choices("agreement", "250"),
    "contacts": lambda psa: psa.choices("contact", "250"),
    "lines": lambda psa: psa.lines("401"),
    "ticket": lambda psa: psa.ticket("17"),
    "find": lambda psa: psa.find_tickets("p:1"),
    "recent": lambda psa: psa.recent_tickets("p:", datetime(2026, 1, 1, tzinfo=UTC)),
    "plan open": lambda psa: psa.plan_ticket(OPENED),
    "plan close": lambda psa: psa.plan_ticket(CLOSED),
    "plan lines": lambda psa: psa.plan_lines(LINES),
    "plan report": lambda psa: psa.plan_report(REPORT),
    "report setup": lambda psa: psa.check_report_setup(WantedSetup(solution="EFS Backup")),
    "plan references": lambda psa: psa.plan_references(
        WantedSetup(solution="EFS Backup", references=(REFERENCE,))
    ),
    "plan product": lambda psa: psa.plan_product(WantedProduct(identifier="A", description="A")),
}
WRITES = ("ticket", "report", "product")


@pytest.fixture
def shared() -> Iterator[SharedConnection]:
    made = SharedConnection(LOCAL)
    yield made
    made.close()


def survived(act: Callable[[], Any]) -> PsaError | None:
    """The error that came, if any; whatever is none of ours fails the test."""
    try:
        act()
    except PsaError as error:
        return error if str(error) else None
    return None


# --- F14: JSON that is none of a PSA ----------------------------------------------------------------------------------

WRONG: tuple[Any, ...] = (None, [], {}, "", "text", 17, -1, 1e300, True, [None], [[]], {"id": {}}, "9" * 400)
NAMES = re.findall(
    r"\w+",
    "summary externalXRef closedFlag board status company mergedParentTicket _info name inactiveFlag inactive"
    " closedStatus escalationStatus sortOrder typeAssociationIds type subType item identifier description unitOfMeasure"
    " agreementStatus cancelledFlag billOneTimeFlag billingCycle endDate noEndingDateFlag product quantity lessIncluded"
    " unitPrice serialNumber invoiceDescription cancelledDate firstName lastName communicationItems territory"
    " managementSolution managementSolutionName managementItSolutionType groupIdentifier deviceType agreement"
    " successfulBackupJobs totalServers backupSuccesses lastBackupDate activeFlag version title ticketNumber externalID"
    " companyID queueID createDate resolution contractType startDate contractID serviceID units isActive companyName"
    " isPickList picklistValues isRequired length url webUrl isDefaultContract emailAddress userDefinedFields ticketID"
    " periodType solution vendorType vendorLevel configurationType agreementType",
)


def bodies() -> Iterator[tuple[str, Any]]:
    for value in (*WRONG, [{"id": None}], [1, 2], [{"id": [1]}], [{"id": "x"}]):
        yield f"just {json.dumps(value)[:30]}", value
    for key in ("items", "item", "fields", "itemId", "pageDetails", "errors"):
        for value in (None, [], {}, "text", 17, [None], [17]):
            yield f"{key} {json.dumps(value)}", {key: value}
    for value in WRONG:
        record = {"id": 17, **dict.fromkeys(NAMES, value)}
        shown = json.dumps(value)[:20]
        yield f"a record of {shown}", record
        yield f"a list of {shown}", [record]
        around = {"items": [record], "item": record, "fields": [record], "itemId": 17, "pageDetails": value}
        yield f"items of {shown}", around
    yield "an id too large", [{"id": 10**30, "name": "x"}]
    yield "the same id often", [{"id": 17, "name": "x"}] * 1000
    yield (
        "a foreign next page",
        {"items": [{"id": 1}], "pageDetails": {"nextPageUrl": "http://169.254.169.254/x"}},
    )


BODIES = dict(bodies())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BODIES)
def test_no_json_makes_anything_but_an_error_of_ours(name: str, kind: str, shared: SharedConnection) -> None:
    answer = http(json.dumps(BODIES[name]).encode())
    with RawServer(always(answer)) as server:
        for read in READS.values():
            survived(lambda read=read: read(connected(kind, server.url, shared, 2.0)))  # type: ignore[misc]
        for record in WRITES:
            plan = write_of(kind, record)
            survived(lambda plan=plan: connected(kind, server.url, shared, 2.0).apply(plan))  # type: ignore[misc]


# --- F13, F14, F15: what is no answer at all --------------------------------------------------------------------------

USELESS: dict[str, Script] = {
    "HTML with 200": always(http(b"<html>We are back soon</html>", "200 OK", "text/html")),
    "HTML called JSON": always(http(b"<html>We are back soon</html>")),
    "redirect to sign-in": always(http(b"", "302 Found", "text/html", "Location: /login")),
    "redirect to metadata": always(
        http(b"", "307 Temporary Redirect", "text/html", "Location: http://169.254.169.254/")
    ),
    "truncated JSON": half_a_body,
    "JSON cut in its middle": always(http(b'{"id": 41, "items": [{"id": 1')),
    "empty 200": always(http(b"")),
    "500": always(http(b"oops", "500 Oops", "text/plain")),
    "503 as HTML": always(http(b"<html>", "503 Service Unavailable", "text/html")),
    "reset": reset,
    "too deep": always(http(b'{"id":' + b"[" * 100_000)),
    "NaN": always(http(b'{"id": NaN}')),
}
SLOW_OR_LARGE: dict[str, Script] = {
    "silence": silence,
    "dripping body": drip_the_body,
    "dripping head": drip_the_head,
    "endless headers": endless_headers,
    "endless 100 Continue": endless_continue,
    "a body of 1 GB": gigabyte,
    "endless chunks": endless_chunks,
    "gzip bomb": always(bomb(1)),
    "gzip bomb in a gzip bomb": always(bomb(2)),
}
FEW = ("companies", "ticket", "plan report")
MEMORY = 40 * 1024 * 1024


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", USELESS)
def test_what_is_no_answer_is_tried_again_later(name: str, kind: str, shared: SharedConnection) -> None:
    with RawServer(USELESS[name]) as server:
        for verb in FEW:
            error = survived(lambda verb=verb: READS[verb](connected(kind, server.url, shared, 2.0)))  # type: ignore[misc]
            assert isinstance(error, Unreachable), (verb, error)
            assert not error.outcome_unknown
        for record in WRITES:
            plan = write_of(kind, record)
            error = survived(lambda plan=plan: connected(kind, server.url, shared, 2.0).apply(plan))  # type: ignore[misc]
            assert isinstance(error, Unreachable), (record, error)
            assert error.outcome_unknown
        assert not [line for line in server.requests if b"169.254" in line]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SLOW_OR_LARGE)
def test_time_and_memory_are_bounded(name: str, kind: str, shared: SharedConnection) -> None:
    """Each call ends within its deadline (0.4 s here, 20 s in the product) and a second, and holds little."""
    with RawServer(SLOW_OR_LARGE[name]) as server:
        tracemalloc.start()
        try:
            for act in (
                lambda: READS["ticket"](connected(kind, server.url, shared, 0.4)),
                lambda: connected(kind, server.url, shared, 0.4).apply(write_of(kind, "ticket")),
            ):
                started = time.monotonic()
                error = survived(act)
                assert time.monotonic() - started < 3.0  # on a busy machine
                assert isinstance(error, Unreachable), error
            assert tracemalloc.get_traced_memory()[1] < MEMORY
        finally:
            tracemalloc.stop()
        assert error.outcome_unknown


# --- F9: being asked to slow down -------------------------------------------------------------------------------------


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


RETRY_AFTER: dict[str, tuple[Callable[[], str] | None, float, float]] = {
    "seconds": (lambda: "30", 30, 30),
    "seconds with blanks": (lambda: "  30 ", 30, 30),
    "a fraction": (lambda: "2.5", 2.5, 2.5),
    "zero": (lambda: "0", 1, 1),
    "negative": (lambda: "-5", 1, 1),
    "huge": (lambda: "1000000000", 3600, 3600),
    "huger": (lambda: "9" * 500, 3600, 3600),
    "infinite": (lambda: "inf", 3600, 3600),
    "not a number": (lambda: "nan", 60, 60),
    "a date": (lambda: http_date(90), 80, 91),
    "a past date": (lambda: http_date(-90), 1, 1),
    "a date long past": (lambda: "Sun, 06 Nov 1994 08:49:37 GMT", 1, 1),
    "a date far ahead": (lambda: http_date(10**7), 3600, 3600),
    "an impossible date": (lambda: "Wed, 99 Foo 2026 99:99:99 GMT", 60, 60),
    "nonsense": (lambda: "soon", 60, 60),
    "several": (lambda: "30, 60", 60, 60),
    "empty": (lambda: "", 60, 60),
    "absent": (None, 60, 60),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RETRY_AFTER)
def test_too_many_requests_is_a_known_no_with_a_sane_pause(
    name: str, kind: str, shared: SharedConnection
) -> None:
    make, least, most = RETRY_AFTER[name]
    headers = (f"Retry-After: {make()}",) if make else ()
    body = b'{"error":"ConnectWiseAPI","message":"Too many requests."}'
    answer = http(body, "429 Too Many Requests", "application/json", *headers)
    with RawServer(always(answer)) as server:
        acts = [
            *(READS[verb] for verb in FEW),
            *(lambda psa, one=one: psa.apply(write_of(kind, one)) for one in WRITES),
        ]  # type: ignore[misc]
        for act in acts:
            error = survived(lambda act=act: act(connected(kind, server.url, shared, 2.0)))  # type: ignore[misc]
            assert isinstance(error, Throttled), error
            assert least <= error.retry_after <= most
            assert not error.outcome_unknown
            assert not error.is_permanent
    assert len(server.requests) == len(acts), "nothing is sent again by itself"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "page", [b"<html>Slow down</html>", b"", b"null", b'{"error": {"message": 5}}', b"\xff\xfe"]
)
def test_too_many_requests_needs_no_body_that_can_be_read(
    page: bytes, kind: str, shared: SharedConnection
) -> None:
    answer = http(page, "429 Too Many Requests", "text/html", "Retry-After: 7")
    with RawServer(always(answer)) as server:
        error = survived(lambda: connected(kind, server.url, shared, 2.0).ticket("17"))
    assert isinstance(error, Throttled)
    assert error.retry_after == 7
