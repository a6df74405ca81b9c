"""Partners' end customers: found by any of their names, made and changed (asked by REST, pages and intake)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Max

from portal import access, database
from portal.access import Actor
from portal.models import Account, Client, Organization, Partner
from portal.models.partners import client_number_of

FIRST_NUMBER = 10_000
MOST_TRIES = 5


def find_clients(references: Iterable[str], actor: Actor) -> dict[str, Client]:
    """Active clients by the reference they were named with: `19652`, `EFS-19652` or our id. Others' are not found.

    One query for numbers, one for ids.
    """
    numbers: dict[int, list[str]] = {}
    ids: dict[uuid.UUID, list[str]] = {}
    for reference in set(references):
        number = client_number_of(reference)
        if number is not None:
            numbers.setdefault(number, []).append(reference)
        elif (key := uuid_of(reference)) is not None:
            ids.setdefault(key, []).append(reference)
    if not numbers and not ids:
        return {}
    partners = access.partner_ids_of(actor)
    rows = [*_clients(partners, "number", numbers), *_clients(partners, "pk", ids)]
    found: dict[str, Client] = {}
    for client in rows:
        for reference in [*numbers.get(client.number, []), *ids.get(client.pk, [])]:
            found[reference] = client
    return found


def _clients(partners: Collection[object], name: str, values: Collection[object]) -> list[Client]:
    """Active clients by number or id, of these partners only."""
    if not values or not partners:
        return []
    if partners is access.EVERY_PARTNER:
        return _of_all(values, name=name)
    return _of_some(partners, values, name=name)


_of_all = database.Prepared(
    lambda values, *, name: Client.objects.filter(is_active=True, **{f"{name}__in": values})
)
_of_some = database.Prepared(
    lambda partners, values, *, name: Client.objects.filter(
        partner_id__in=partners, is_active=True, **{f"{name}__in": values}
    )
)


def uuid_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def top_level(partner: Partner) -> Organization:
    """The partner's top-level organization; made when there is none yet."""
    found = Organization.objects.filter(partner=partner, parent=None).first()
    if found is None:
        found, _ = Organization.objects.get_or_create(
            partner=partner, parent=None, defaults={"name": partner.name}
        )
    return found


class NumberTaken(Exception):
    """Another client of the deployment has this client id."""


def add_client(
    partner: Partner, *, name: str, number: int | None = None, organization: Organization | None = None
) -> Client:
    """A new client; without a number it gets the next free one. Raises NumberTaken."""
    home = organization or top_level(partner)
    for _ in range(MOST_TRIES):
        try:
            with transaction.atomic():
                return Client.objects.create(
                    partner=partner, organization=home, name=name, number=number or next_number()
                )
        except IntegrityError:
            if number is not None:
                break
    raise NumberTaken(f"Client id {number} is taken.")


@dataclass(frozen=True)
class New:
    """A client to be made; without a number it gets a free one."""

    partner_id: uuid.UUID
    organization: Organization
    name: str
    number: int | None = None


def add_clients(asked: Sequence[New]) -> list[Client | NumberTaken]:
    """In their order; a few queries, whatever their number."""
    results: list[Client | NumberTaken | None] = [None] * len(asked)
    left = list(range(len(asked)))
    for _ in range(MOST_TRIES):
        free = next_number()
        taken = {one.number for one in asked if one.number}
        rows: dict[int, Client] = {}
        for place in left:
            one = asked[place]
            number = one.number
            while number is None:
                number, free = (free if free not in taken else None), free + 1
            rows[place] = Client(
                partner_id=one.partner_id, organization=one.organization, name=one.name, number=number
            )
        with transaction.atomic():
            stored = database.insert_new(list(rows.values()))
        for place, row in rows.items():
            if row.pk in stored:
                results[place] = row
            elif asked[place].number is not None:
                results[place] = NumberTaken(f"Client id {row.number} is taken.")
        left = [place for place in left if results[place] is None]
        if not left:
            break
    return [row if row is not None else NumberTaken("No client id was free.") for row in results]


def name_accounts(asked: Sequence[tuple[Client, str, str]]) -> list[Account]:
    """Accounts by client and account no., made when unknown; a name that is given is taken over. A few queries."""
    named = {(client.pk, key): (client, name) for client, key, name in asked}
    with transaction.atomic():
        database.insert_new(
            [
                Account(partner_id=client.partner_id, client=client, key=key, name=name)
                for (_, key), (client, name) in sorted(named.items(), key=lambda item: str(item[0]))
            ]
        )
        rows = Account.objects.filter(
            client__in={pk for pk, _ in named}, key__in={key for _, key in named}
        ).order_by("pk")
        found = {(row.client_id, row.key): row for row in rows.select_for_update(no_key=True)}
        changed = []
        for key, (_, name) in named.items():
            if name and found[key].name != name:
                found[key].name = name
                changed.append(found[key])
        Account.objects.bulk_update(changed, ["name"], batch_size=500)
    return [found[client.pk, key] for client, key, _ in asked]


def next_number() -> int:
    highest = Client.objects.aggregate(highest=Max("number"))["highest"] or 0
    return int(max(highest + 1, FIRST_NUMBER))
