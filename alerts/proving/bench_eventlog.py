"""How long the Event Log takes when there is much in it (figure P14).

The pages are asked for inside this process, as a manager who has signed in, so that only the server's time is measured.
The log is filled by the database itself: a third of the events have a delivery, one in five hundred an error; one in a
hundred thousand is the needle.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from statistics import quantiles
from typing import Any

from django.core.management import call_command
from django.db import connection, models
from django.http import HttpResponseBase
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from alerts.proving.bench import Bench, Figure
from integrations.models import Delivery, Event
from portal import clients, clock
from portal.models import Client, Membership, Partner, User
from portal.models.people import Role

TIMES = 20
ERROR_EVERY, DELIVERY_EVERY, NEEDLE_EVERY = 500, 3, 100_000
AT_ONCE = 500_000
QUERIES = {
    "list": "/events",
    "like": "/events?tab=advanced&field=event_information&op=LIKE&term=*needle*",
    "nothing": "/events?tab=advanced&field=event_information&op=LIKE&term=*not-there*",
    "errors": "/events?tab=advanced&field=error_list&op=LIKE&term=%3F*",
    "quick": "/events?q=needle",
    "csv": "/events/export.csv",
}


def event_log(bench: Bench) -> Iterator[Figure]:
    """P14: the list, searches and the file, over as many events as `size.log` says."""
    call_command("collectstatic", interactive=False, verbosity=0)
    partner = Partner.objects.create(name="P14", slug=f"p14-{clock.new_id().hex[:8]}")
    client = clients.add_client(partner, name="P14 client")
    began = time.monotonic()
    fill(client, bench.size.log)
    browser = signed_in(partner)
    detail: dict[str, Any] = {"events": bench.size.log, "fill_seconds": round(time.monotonic() - began, 1)}
    most_queries = 0
    for name, address in QUERIES.items():
        seconds, queries = timed(browser, address, 3 if bench.is_smoke else TIMES)
        most_queries = max(most_queries, queries)
        p95 = quantiles(seconds, n=20, method="inclusive")[-1] * 1000
        yield Figure(
            f"p14_{name}_p95",
            p95,
            {**detail, "queries": queries, "p50": round(sorted(seconds)[len(seconds) // 2] * 1000, 1)},
        )
    yield Figure("p14_queries", most_queries, detail)


def signed_in(partner: Partner) -> Browser:
    person = User.objects.create_user(f"{partner.slug}@example.com")
    Membership.objects.create(user=person, partner=partner, role=Role.SENIOR_MANAGER)
    browser = Browser(headers={"x-forwarded-proto": "https"}, HTTP_HOST="127.0.0.1")
    browser.force_login(person)
    return browser


def timed(browser: Browser, address: str, times: int) -> tuple[list[float], int]:
    """Seconds of each whole answer; and the number of queries of one."""
    with CaptureQueriesContext(connection) as queries:
        whole(browser.get(address))
    count = len(queries)  # the next request clears them
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        whole(browser.get(address))
        seconds.append(time.monotonic() - began)
    return seconds, count


def whole(answer: HttpResponseBase) -> None:
    if answer.status_code != 200:
        raise RuntimeError(f"The page answered {answer.status_code} {answer.get('Location', '')}")
    if answer.streaming:
        for _ in answer:
            pass


# --- Filling ----------------------------------------------------------------------------------------------------------


def fill(client: Client, count: int) -> None:
    """So many events of a client, one a second up to now, with their deliveries."""
    now = clock.now()
    event = Event.objects.create(
        partner_id=client.partner_id, client=client, scope=clock.NIL_UUID, source="p14", source_id="template",
        body_hash="0" * 64, type="backup.failed", severity="error", action="trigger",
        client_reference=str(client.number),
        condition_key="backup:SRV-FILE01", occurred_at=now, received_at=now, data={"device": "SRV-FILE01"},
        trace=[{"step": "notification", "name": "Tickets", "version": 1, "matched": True, "text": "matched"}],
        summary="Backup of SRV-FILE01 failed",
    )  # fmt: skip
    delivery = Delivery.objects.create(
        partner_id=client.partner_id, client=client, event=event, action="ticket", subject="p14", status="done",
        outcome="Ticket #4471 is open.", notification_name="Tickets", created_at=now, finished_at=now,
    )  # fmt: skip
    for first in range(1, count + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, count)
        back = f"{count} - n"
        copy(
            event,
            first,
            last,
            {"id": key("n"), "source_id": text("n"), "received_at": moment(now, back), "summary": summary()},
        )
        copy(
            delivery,
            first,
            last,
            {"id": key("n"), "event_id": key("n"), "created_at": moment(now, back), "error_text": error()},
            every=DELIVERY_EVERY,
        )
    event.delete()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def copy(row: models.Model, first: int, last: int, other: Mapping[str, str], *, every: int = 1) -> None:
    """Copies of a row, one for each number n from `first` to `last` that `every` divides, with other values in some
    columns (SQL expressions of n)."""
    table = row._meta.db_table
    columns = [field.column for field in row._meta.concrete_fields]
    values = ", ".join(other.get(str(column), f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    if connection.vendor == "postgresql":
        before, numbers = "", f"generate_series({first}, {last}) AS numbers(n)"
    else:
        counting = f"SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}"  # noqa: S608 - all ours
        before = f"WITH RECURSIVE numbers(n) AS ({counting}) "
        numbers = "numbers"
    template = row._meta.pk.get_db_prep_value(row.pk, connection)
    statement = (
        f"INSERT INTO {table} ({names}) {before}SELECT {values} FROM {table} AS t, {numbers} "  # noqa: S608 - all ours
        f"WHERE t.id = %s AND n %% {every} = 0"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [template])


def key(number: str) -> str:
    if connection.vendor == "postgresql":
        return f"lpad(to_hex({number}), 32, '0')::uuid"
    return f"printf('%%032x', {number})"


def text(number: str) -> str:
    return f"CAST({number} AS TEXT)"


def moment(now: Any, seconds_back: str) -> str:
    if connection.vendor == "postgresql":
        return f"'{now.isoformat()}'::timestamptz - ({seconds_back}) * interval '1 second'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%S', '{now:%Y-%m-%d %H:%M:%S}', '-' || ({seconds_back}) || ' seconds')"


def summary() -> str:
    return (
        f"CASE WHEN n %% {NEEDLE_EVERY} = 7 THEN 'the needle' "
        "ELSE 'Backup of SRV-FILE' || CAST(n %% 500 AS TEXT) || ' failed' END"
    )


def error() -> str:
    refused = "'ConnectWise PSA refused the credentials.'"
    return f"CASE WHEN n %% {ERROR_EVERY} < {DELIVERY_EVERY} THEN {refused} ELSE '' END"
