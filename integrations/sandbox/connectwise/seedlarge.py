"""A big MSP, for measuring: thousands of companies, contacts and tickets on top of the ordinary seed."""

from integrations.sandbox.connectwise.seed import (
    BOARDS,
    Seeder,
    add_agreement,
    add_board,
    add_company,
    add_contact,
    add_product,
    add_status,
    ticket_values,
)
from integrations.sandbox.connectwise.store import Record, Store

LARGE = ("companies", "contacts", "boards", "statuses", "products", "agreements", "tickets")


def seed_large(
    store: Store,
    companies: int = 5000,
    contacts: int = 10_000,
    boards: int = 20,
    statuses: int = 15,
    products: int = 2000,
    agreements: int = 1000,
    tickets: int = 50_000,
) -> None:
    """Fill up to these numbers; `statuses` are those of each board."""
    seeder = Seeder(store)
    for number in range(len(store.table("boards").ids) + 1, boards + 1):
        add_board(seeder, f"Board {number:02}", BOARDS["Backup"])
    for board_id in store.table("boards").ids:
        board = store.reference("boards", board_id)
        for order in range(len(store.under("statuses", board_id)), statuses):
            add_status(seeder, board, f"Step {order:02}", order, closes=False, escalation="Responded")
    for number in range(len(store.table("companies").ids) + 1, companies + 1):
        name = f"Client Number {number:05}"
        add_company(seeder, f"Client{number:05}", name, "Springfield", str(30_000 + number))
    for number in range(len(store.table("catalog").ids), products):
        add_product(seeder, f"SKU-{number:04}", f"Product {number:04}", "Each", 10.0, 4.0)
    clients = [store.reference("companies", row_id) for row_id in store.table("companies").ids]
    _contacts(seeder, clients, contacts)
    for number in range(len(store.table("agreements").ids), agreements):
        company = clients[-1 - number % len(clients)]
        contact = store.reference("contacts", store.table("contacts").ids[0])
        add_agreement(seeder, "Backup Services", company, contact)
    _tickets(seeder, clients, tickets)


def _contacts(seeder: Seeder, clients: list[Record], wanted: int) -> None:
    for number in range(len(seeder.store.table("contacts").ids), wanted):
        company, mail = clients[number % len(clients)], f"person{number:05}@example.com"
        add_contact(seeder, company, "Person", f"Number {number:05}", mail)


def _tickets(seeder: Seeder, clients: list[Record], wanted: int) -> None:
    store = seeder.store
    board_ids = store.table("boards").ids
    for number in range(len(store.table("tickets").ids), wanted):
        board_id, company = board_ids[number % len(board_ids)], clients[number % len(clients)]
        values = ticket_values(
            store, company, board_id, number // len(board_ids), f"Backup failed {number:06}"
        )
        seeder.add("tickets", **values, externalXRef=f"seed:{number:06}")
