"""How one condition's ticket should look at its PSA, from the settings in effect (asked by tickets and by the tests of
settings)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from alerts import tickettexts
from alerts.models import ClientAddress, Condition
from alerts.models.settings import Level
from alerts.ticketsettings import OF_A_COMPANY, SettingsOf, id_at, is_of_company
from alerts.tickettexts import Problem
from integrations.models import Choice, Credentials, Event
from integrations.psa import kinds
from integrations.psa.wanted import WantedAddress, WantedTicket


def wanted_ticket(
    condition: Condition,
    event: Event | None,
    *,
    settings: SettingsOf,
    credentials: Credentials,
    company: str,
    external_ref: str,
    state: Literal["open", "closed"],
    known_id: str | None = None,
    created_at: datetime | None = None,
    is_caught: bool = False,
) -> WantedTicket:
    """What should be true of the ticket. `is_caught`: it goes to the catch-all company, so the client is named.

    `event` opened the condition; `created_at` is the moment from which "due in" counts.
    """
    problem = Problem(
        condition,
        event,
        settings.addresses.get(condition.client_id),
        zone=lambda: credentials.partner.time_zone,
    )
    level: Level = level_of(condition)

    def chosen(name: str) -> str | None:
        choice = settings.value(name, level).value
        if name in OF_A_COMPANY and isinstance(choice, Choice) and not is_of_company(choice, company):
            return None  # of the company that the client was mapped to before
        return id_at(choice, credentials)

    hours = settings.value("due_in_hours", level).value
    length = kinds.ABILITIES[credentials.kind].summary_length
    return WantedTicket(
        external_ref=external_ref,
        state=state,
        company_id=company,
        summary=tickettexts.summary_of(
            settings.value("summary_template", level).value, problem, length=length, names_client=is_caught
        ),
        description=tickettexts.body_of(settings.value("body_template", level).value, problem),
        known_id=known_id,
        board_id=chosen("board"),
        status_id=chosen("new_status"),
        closing_status_id=chosen("closing_status"),
        type_id=chosen("type"),
        subtype_id=chosen("subtype"),
        item_id=chosen("item"),
        category_id=chosen("category"),
        priority_id=id_at(settings.priority(condition.severity, level).value, credentials),
        source_id=chosen("source"),
        contact_id=chosen("contact"),
        agreement_id=chosen("agreement"),
        due_at=created_at + timedelta(hours=hours) if hours and created_at else None,
        **placed(problem.address, company),
    )


def level_of(condition: Condition) -> Level:
    """The lowest level whose settings can apply: the account if the condition has one."""
    if condition.account is None:
        client: Level = condition.client
        return client
    condition.account.client = condition.client  # known already: no query a ticket
    return condition.account


def placed(address: ClientAddress | None, company: str) -> dict[str, Any]:
    """Site and address of the ticket; what was read of another company than the ticket's is not sent.

    The state's code is sent only as the PSA itself gave it: another one would be refused with the whole ticket.
    """
    if address is None or address.company_id != company:
        return {}
    site = address.site_id or None
    if not address.edited_by:
        return {"site_id": site}
    typed = WantedAddress(
        line_1=address.address_line_1,
        line_2=address.address_line_2,
        city=address.city,
        state=address.state if address.state == address.read.get("state") else "",
        zip=address.zip,
    )
    return {"site_id": site, "address": typed}
