"""How many calls a partner's first synchronization costs: the goal is at most 55 calls over at most 4 connections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.psa.kinds import connect
from integrations.psa.port import ChoiceKind, Option, Psa, SignIn
from integrations.psa.transport import SharedConnection
from integrations.sandbox import Sandbox, running_sandbox
from integrations.sandbox.connectwise.dialect import ConnectWise
from integrations.sandbox.connectwise.seed import (
    Seeder,
    add_agreement,
    add_company,
    add_type,
    ticket_values,
)
from tests.integrations.psa.conftest import LOCAL

COMPANIES, BOARDS, AGREEMENTS, TICKETS = 1_000, 10, 1_000, 1_000
MOST_CALLS, MOST_CONNECTIONS = 55, 4
FLAT: tuple[ChoiceKind, ...] = (
    "company",
    "board",
    "priority",
    "source",
    "product",
    "agreement",
    "contact",
    "solution",
)
OF_A_BOARD: tuple[ChoiceKind, ...] = ("status", "type", "subtype", "item")


def fill(dialect: ConnectWise) -> None:
    """1,000 companies, 10 boards with 80 statuses, 100 types, 100 subtypes and 50 items, agreements, tickets."""
    store = dialect.store
    seeder = Seeder(store)
    emptied = ("tickets", "agreements", "companies", "associations", "items", "subtypes", "types")
    for table in (*emptied, "statuses", "boards"):
        for row_id in list(store.table(table).ids):
            store.delete(table, row_id)
    for number in range(BOARDS):
        board = seeder.add(
            "boards", name=f"Board {number}", inactiveFlag=False, projectFlag=False, location={"id": 2}
        )
        for order in range(8):
            seeder.add(
                "statuses",
                name=f"Status {order}",
                board=board,
                sortOrder=order,
                closedStatus=order == 7,
                inactive=False,
                defaultFlag=order == 0,
            )
        items = [seeder.add("items", name=f"Item {one}", inactiveFlag=False, board=board) for one in range(5)]
        for position in range(10):
            add_type(
                seeder, board, f"Type {position}", (f"Subtype {position}",), items, is_default=position == 0
            )
    contact = store.reference("contacts", store.table("contacts").ids[0])
    companies = [
        add_company(seeder, f"C{number:04}", f"Company {number:04}", "Springfield", str(number))
        for number in range(COMPANIES)
    ]
    for company in companies[:AGREEMENTS]:
        add_agreement(seeder, "Backup Services", company, contact)
    board_ids = store.table("boards").ids
    for number in range(TICKETS):
        values = ticket_values(
            store, companies[number], board_ids[number % BOARDS], number, f"Ticket {number}"
        )
        seeder.add("tickets", **values, externalXRef=f"portal:{number}")


@pytest.fixture
def large() -> Iterator[Sandbox]:
    with running_sandbox(kind="connectwise") as sandbox:
        assert isinstance(sandbox.dialect, ConnectWise)
        fill(sandbox.dialect)
        yield sandbox


def connections_of(shared: SharedConnection, url: str) -> int:
    pools: Any = shared.session.get_adapter(url).poolmanager.pools  # type: ignore[attr-defined]
    keys = list(pools.keys())
    return sum(pools[key].num_connections for key in keys)


def first_sync(psa: Psa) -> list[Option]:
    options = [option for kind in FLAT for option in psa.choices(kind)]
    boards = [option.id for option in options if option.kind == "board"]
    return options + [
        option for board in boards for kind in OF_A_BOARD for option in psa.choices(kind, board)
    ]


def test_a_first_synchronization_stays_below_the_goal(large: Sandbox) -> None:
    keys = large.control.get("credentials")
    sign_in = SignIn(
        site=large.url,
        login_company=keys["company"],
        public_key=keys["public_key"],
        secret=keys["private_key"],
        client_id=keys["client_id"],
    )
    shared = SharedConnection(LOCAL)
    psa = connect("connectwise", sign_in, policy=LOCAL, shared=shared)
    options = first_sync(psa)
    tickets = psa.recent_tickets("portal:", datetime(2026, 1, 1, tzinfo=UTC))
    counts = {kind: sum(option.kind == kind for option in options) for kind in (*FLAT, *OF_A_BOARD)}
    assert (counts["company"], counts["agreement"], len(tickets)) == (COMPANIES, AGREEMENTS, TICKETS)
    assert [counts[kind] for kind in ("board", *OF_A_BOARD)] == [10, 80, 100, 100, 50]
    calls = len(large.control.requests())
    assert calls <= MOST_CALLS, f"{calls} calls"
    assert connections_of(shared, large.url) <= MOST_CONNECTIONS
    shared.close()
