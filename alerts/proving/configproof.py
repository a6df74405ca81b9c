"""A partner's whole set-up written to a document, wiped, applied and written again (asked by proofs and tests)."""

from __future__ import annotations

import os
import time
from datetime import date
from datetime import time as of_day
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import transaction

from alerts import (
    absence,
    addresses,
    catchup,
    filters,
    mailsettings,
    noisesettings,
    notifications,
    setup,
    webhooks,
    windows,
)
from alerts.models import ClosingStatus
from billing import billingsettings, crossreferences, proof_world
from billing.crossreferences import Wish
from billing.decisions import Decider
from billing.proof_world import Billed
from integrations import choices, companies, connections, following
from integrations.connections import Entered
from integrations.models import Choice, Credentials
from integrations.models.connections import Origin
from integrations.sandbox import Sandbox, running_sandbox
from portal import clients, clock, configuration, team
from portal.models import Account, Client, Organization, Partner, Role

CLIENTS = 200
BY = "proof"
SECRET = "PSA_SECRET_PROOF"  # noqa: S105 - the name of a variable of the environment
BODY = 'What: {summary}\nSince: {first_seen}\n\nNo: "yes" # not a comment\n'


# --- A rich partner ---------------------------------------------------------------------------------------------------


def rich(sandbox: Sandbox, *, count: int = CLIENTS) -> Billed:
    """A partner that uses everything that can be set up, through the operations that people use."""
    world = proof_world.billed(sandbox, count=count, services=3)
    settle(world)
    return world


def settle(world: Billed) -> None:
    partner, top = world.partner, world.organization
    Partner.objects.filter(pk=partner.pk).update(time_zone="Europe/Berlin")
    partner.refresh_from_db()
    east = Organization.objects.create(partner=partner, name="East: no, on & off", parent=top)
    west = Organization.objects.create(partner=partner, name="West", parent=top, tickets_mode="observe")
    Organization.objects.create(partner=partner, name="West", parent=east)
    for place, client in enumerate(world.clients):
        client.organization = (top, east, west)[place % 3]
        client.statistics_mode = "observe" if place % 5 == 0 else None
        client.is_active = place % 40 != 39
        client.save()
    of_connection(world, west)
    of_tickets(world, east)
    of_billing(world)
    of_people_and_rules(world, east)


def of_connection(world: Billed, west: Organization) -> None:
    row, partner = world.credentials, world.partner
    row.also_used = ["inbound"]
    row.save(update_fields=["also_used"])
    row.lane.calls_per_minute = 120
    row.lane.save(update_fields=["calls_per_minute"])
    following.switch_on(row)
    company = choices.companies_like(row, "Billed")[0]
    companies.choose_catch_all(row, company, by=BY)
    none = Entered(kind="none", site_url="", login_company="", public_key="")
    connections.save_credentials(
        Organization.objects.create(partner=partner, name="No PSA", parent=west), none, by=None
    )
    skipped = clients.add_client(partner, name='Skipped "0123" — Ünïcode', number=99_001)
    companies.link_company(skipped, row, psa_company_id="", name="", origin=Origin.IMPORT)


def board_of(row: Credentials) -> tuple[Choice, Choice, Choice]:
    """A board of the pretend PSA, a status that is open and one that closes."""
    board = row.choices.get(kind="board", name="Backup")
    statuses = row.choices.filter(kind="status", within=board.psa_id)
    return board, statuses.get(name="New"), statuses.get(name="Completed")


def of_tickets(world: Billed, east: Organization) -> None:
    board, new, done = board_of(world.credentials)
    priorities = list(world.credentials.choices.filter(kind="priority").order_by("psa_id"))
    values = {"board": board, "new_status": new, "closing_status": done, "priority": priorities[0]}
    setup.save_ticket_settings(
        world.organization, {**values, "body_template": BODY, "notes_per_hour": 4}, by=BY
    )
    setup.save_ticket_settings(east, {"automatic_closure": False, "reopen_within_days": 0}, by=BY)
    ClosingStatus.objects.create(
        partner=world.partner, credentials=world.credentials, board=board, status=done
    )
    for place, client in enumerate(world.clients):
        setup.save_ticket_settings(
            client, {"priority": priorities[place % len(priorities)], "due_in_hours": place or None}, by=BY
        )
        if place % 4 == 0:
            account = Account.objects.create(partner=world.partner, client=client, key=f"00{place}")
            setup.save_ticket_settings(account, {"summary_template": "1e3: {summary}"}, by=BY)
            absence.set_expectation(client, every_hours=Decimal("24.50"), account=account)
        if place % 7 == 0:
            lines = {name: f"{name} {place}" for name in addresses.LINES}
            addresses.edit(client, lines, by=BY)
        if place % 11 == 0:
            absence.set_expectation(
                client, every_hours=Decimal(12), tolerance=Decimal("1.5"), is_enabled=False
            )
        if place % 25 == 0:
            catchup.disable(client, until=None, reason="no", by=BY)


def of_billing(world: Billed) -> None:
    by = Decider(BY)
    defaults = {
        "schedule": "day",
        "push_day": 31,
        "four_eyes": True,
        "description_template": "{service}\n{accounts}",
    }
    billingsettings.save(world.organization, defaults, by=by)
    product = world.credentials.choices.filter(kind="product").order_by("psa_id")[0]
    for place, client in enumerate(world.clients):
        if place % 3 == 0:
            billingsettings.save(client, {"jump_percent": place, "billing_mode": "approve"}, by=by)
        if place % 6 == 0:
            crossreferences.save(
                client,
                world.service,
                Wish(product=product, level="Basic", type="off", is_billed=place % 12 == 0, jump_units=7),
                by=by,
            )


def of_people_and_rules(world: Billed, east: Organization) -> None:
    partner, client = world.partner, world.client
    roles = (Role.VIEWER, Role.SENIOR_MANAGER, Role.VIEWER)
    members = [
        team.add(partner, f"person{number}.{partner.slug}@example.com", role)
        for number, role in enumerate(roles)
    ]
    endpoint, _ = webhooks.save_endpoint(
        partner, name="Ops", url="https://198.51.100.7/hook?a=1#".rstrip("#")
    )
    mailsettings.save_mail_settings(
        partner,
        mailsettings.Entered(
            address="ops@example.com", no_backup=True, connector_addresses=["desk@example.com"]
        ),
        by=BY,
    )
    notifications.add_tickets(partner, by=BY)
    notifications.add_synchronization(partner, by=BY)
    for name, more in (
        (
            "Same name",
            {"action": "email", "recipients": ["a@example.com"], "members": [str(members[0].user_id)]},
        ),
        ("Same name", {"action": "webhook", "webhook": endpoint, "organization": east, "stops": True}),
        (
            "Off",
            {
                "action": "ticket",
                "client": client,
                "is_enabled": False,
                "grouping": "site",
                "min_minutes": 10,
            },
        ),
    ):
        notifications.save_notification(partner, notifications.Entered(name=name, **more), by=BY)
    filters.save_filter(
        partner,
        filters.Entered(
            name="null", phrases=["no: yes", "- 0x1F"], severities=["error", "info"], client=client
        ),
        by=BY,
    )
    filters.save_filter(
        partner, filters.Entered(name="Until", sources=["b", "a"], expires_at=clock.now()), by=BY
    )
    night: dict[str, Any] = {"starts_at": of_day(22), "ends_at": of_day(2, 30), "days": 1}
    account = Account.objects.filter(client=client).first()
    for entered in (
        windows.Entered(
            name="Patch night", first_on=date(2026, 3, 1), repeats="weekly", weekdays=[6, 1], **night
        ),
        windows.Entered(name="Move", first_on=date(2026, 5, 31), account=account, **night),
    ):
        windows.save_window(partner, entered, by=BY)
    noisesettings.save_noise(partner, {**noisesettings.RECOMMENDED, "storm_client": client})


# --- Wiped, and applied again -----------------------------------------------------------------------------------------


def wipe(partner: Partner) -> None:
    """Everything of a partner is gone, as if it had never been; only the audit log stays."""
    with transaction.atomic():
        for model in apps.get_models():
            if any(field.name == "partner" for field in model._meta.fields):
                model._base_manager.filter(partner=partner)._raw_delete(using="default")
        Partner.objects.filter(pk=partner.pk).delete()


def apply_anew(text: str, *, slug: str) -> Partner:
    """The document applied to a new, empty partner: connections first, their options read, then the rest."""
    partner = Partner.objects.create(name="Somebody", slug=slug)
    text = text.replace("secret: kept", f"secret: env:{SECRET}")
    configuration.apply(partner, text, by=BY, is_on_server=True, only_first=True)
    for row in Credentials.objects.filter(partner=partner).exclude(kind="none"):
        choices.reload(row)
    configuration.apply(partner, text, by=BY, is_on_server=True)
    return partner


def configuration_as_code(*, count: int = CLIENTS) -> tuple[bool, str]:
    """Exported, wiped, imported, exported: the same bytes; applied once more: nothing to do."""
    with running_sandbox() as sandbox:
        world = rich(sandbox, count=count)
        os.environ[SECRET] = sandbox.dialect.credentials()["private_key"]
        before = configuration.export(world.partner).text
        slug = world.partner.slug
        wipe(world.partner)
        left = Client.objects.count()
        started = time.monotonic()
        partner = apply_anew(before, slug=slug)
        took = time.monotonic() - started
        after = configuration.export(partner).text
        again = configuration.plan(partner, after, by=BY, is_on_server=True)
        twice = configuration.apply(partner, after, by=BY, is_on_server=True, prune=True)
    is_same = before.encode() == after.encode()
    held = is_same and left == 0 and again.is_nothing and not twice.differences and not again.kept
    return held, (
        f"{count + 1} clients, {len(before.splitlines()):,} lines exported, wiped, imported in {took:.0f} s, exported: "
        f"{'identical bytes' if is_same else 'OTHER BYTES'} ({len(after.encode()):,}); applied twice: "
        f"{len(again.differences) + len(twice.differences)} differences planned"
    )
