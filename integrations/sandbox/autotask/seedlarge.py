"""A big MSP, for measuring: thousands of companies and tickets on top of the ordinary seed."""

from integrations.sandbox.autotask.billing import SERVICES, begin_line, with_prices
from integrations.sandbox.autotask.desk import Desk, stored_day
from integrations.sandbox.autotask.picklists import add_value, values_of
from integrations.sandbox.autotask.seed import (
    Seeder,
    add_company,
    add_contract,
    add_service,
    ticket_values,
)

LARGE = ("companies", "contacts", "queues", "services", "contracts", "tickets")
_FIRST_QUEUE = 29682900


def seed_large(
    desk: Desk,
    companies: int = 5000,
    contacts: int = 10_000,
    queues: int = 20,
    services: int = 2000,
    contracts: int = 1000,
    tickets: int = 50_000,
) -> None:
    """Fill up to these numbers."""
    seeder = Seeder(desk)
    store = desk.store
    for number in range(len(values_of(store, "Tickets.queueID")), queues):
        add_value(store, "Tickets.queueID", _FIRST_QUEUE + number, f"Queue {number:02}", order=number)
    for number in range(len(store.table("Companies").ids), companies):
        add_company(seeder, f"Client Number {number:05}", str(30_000 + number), "Springfield")
    for number in range(len(store.table("Services").ids), services):
        add_service(seeder, f"SKU-{number:04}", f"Service {number:04}", 10.0, 4.0)
    _contacts(seeder, contacts)
    _contracts(seeder, contracts)
    _tickets(seeder, tickets)


def _contacts(seeder: Seeder, wanted: int) -> None:
    ids = seeder.store.table("Companies").ids
    for number in range(len(seeder.store.table("Contacts").ids), wanted):
        name = {"firstName": "Person", "lastName": f"Number {number:05}", "isActive": 1}
        mail = f"person{number:05}@example.com"
        seeder.add("Contacts", companyID=ids[number % len(ids)], **name, emailAddress=mail)


def _contracts(seeder: Seeder, wanted: int) -> None:
    """From the first of this month, one service each."""
    store = seeder.store
    first = seeder.desk.today().replace(day=1)
    ids = store.table("Companies").ids
    for number in range(len(store.table("Contracts").ids), wanted):
        company = store.table("Companies").rows[ids[-1 - number % len(ids)]]
        contract = add_contract(seeder, "Backup Services", company, startDate=stored_day(first))
        values = {"contractID": contract["id"], "serviceID": 301 + number % 12}
        line = seeder.add("ContractServices", **with_prices(seeder.desk, SERVICES, values))
        begin_line(seeder.desk, SERVICES, line, first, 1 + number % 50)


def _tickets(seeder: Seeder, wanted: int) -> None:
    store = seeder.store
    queues = [row["value"] for row in values_of(store, "Tickets.queueID") if row["isActive"]]
    ids = store.table("Companies").ids
    for number in range(len(store.table("Tickets").ids), wanted):
        company, queue = ids[number % len(ids)], queues[number % len(queues)]
        values = ticket_values(seeder.at(), company, queue, number, f"Backup failed {number:06}")
        seeder.add("Tickets", **values, externalID=f"seed:{number:06}")
