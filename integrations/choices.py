"""What a connection's PSA offers for pickers, kept so that every page works while the PSA is down.

Rows are found again by the PSA's id: a rename changes the name, a record that is gone is marked, never deleted while
somebody uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count

from integrations import connections
from integrations.models import Choice, Credentials
from integrations.psa.port import ChoiceKind, Option, Psa
from portal import clock, database

FLAT: tuple[ChoiceKind, ...] = ("company", "board", "priority", "source", "product", "agreement")
PER_BOARD: tuple[ChoiceKind, ...] = ("status", "type", "subtype")


@dataclass(frozen=True)
class Reloaded:
    """What "Reload Options from PSA" found."""

    added: int
    renamed: int
    vanished: int


def reload(credentials: Credentials) -> Reloaded:
    """Read all options from the PSA, then write what changed. Raises PsaError and writes nothing when it cannot."""
    with connections.psa_for(credentials) as psa:
        options = read_all(psa)
    return store(credentials, options)


def read_all(psa: Psa) -> list[Option]:
    options = [option for kind in FLAT for option in psa.choices(kind)]
    boards = [option.id for option in options if option.kind == "board"]
    return options + [
        option for board in boards for kind in PER_BOARD for option in psa.choices(kind, within=board)
    ]


def store(credentials: Credentials, options: Sequence[Option]) -> Reloaded:
    """Upsert in bulk; unchanged rows are not written."""
    now = clock.now()
    with transaction.atomic():
        known = {(row.kind, row.within, row.psa_id): row for row in credentials.choices.select_for_update()}
        fresh = {key_of(option): option for option in options}
        added = [
            Choice(
                partner_id=credentials.partner_id,
                credentials=credentials,
                kind=option.kind,
                within=within_of(option),
                psa_id=option.id,
                name=option.name[:300],
                data=dict(option.data),
                seen_at=now,
            )
            for key, option in fresh.items()
            if key not in known
        ]
        changed = [row for key, row in known.items() if key in fresh and update(row, fresh[key])]
        vanished = [row for key, row in known.items() if key not in fresh and row.vanished_at is None]
        for row in vanished:
            row.vanished_at = now
        Choice.objects.bulk_create(added, batch_size=1000, ignore_conflicts=True)
        database.save_all([*changed, *vanished], ["name", "data", "vanished_at"])
        credentials.choices.update(seen_at=now)
    return Reloaded(added=len(added), renamed=len(changed), vanished=len(vanished))


def key_of(option: Option) -> tuple[str, str, str]:
    return option.kind, within_of(option), option.id


def within_of(option: Option) -> str:
    """Agreements are found by their own id; the company they belong to is data and may change."""
    return option.within if option.kind in {"status", "type", "subtype", "item"} else ""


def update(row: Choice, option: Option) -> bool:
    """Take over name and data; True when anything changed."""
    data = dict(option.data)
    if (row.name, row.data, row.vanished_at) == (option.name[:300], data, None):
        return False
    row.name, row.data, row.vanished_at = option.name[:300], data, None
    return True


PLURALS = {
    "company": "Companies",
    "board": "Boards",
    "status": "Statuses",
    "type": "Types",
    "subtype": "Subtypes",
    "item": "Items",
    "priority": "Priorities",
    "source": "Sources",
    "product": "Products",
    "agreement": "Agreements",
}


# --- For pickers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stock:
    """How much of a kind we hold, and when we last looked."""

    kind: str
    count: int

    @property
    def label(self) -> str:
        """“Boards”, “Companies”."""
        return PLURALS[self.kind]


def stock_of(credentials: Credentials) -> list[Stock]:
    """How many options of each kind are offered."""
    offered = credentials.choices.filter(vanished_at=None).order_by("kind").values("kind")
    return [Stock(row["kind"], row["count"]) for row in offered.annotate(count=Count("pk"))]


def seen_at(credentials: Credentials) -> datetime | None:
    """How old our copy of this PSA's options is; None before the first reload."""
    return credentials.choices.order_by("-seen_at").values_list("seen_at", flat=True).first()


def companies_like(credentials: Credentials, text: str, most: int = 100) -> list[Choice]:
    """PSA companies whose name contains the text, by name."""
    rows = credentials.choices.filter(kind="company", vanished_at=None, name__icontains=text)
    return list(rows.order_by("name")[:most])


def company(credentials: Credentials, psa_id: str) -> Choice | None:
    """One PSA company, also when it has vanished."""
    return credentials.choices.filter(kind="company", psa_id=psa_id).first()
