"""Which choices are in use although the PSA does not offer them any more (asked by the pages of a connection).

Whoever refers to a choice is found through the models themselves, so that rooms above this one need not be known, and
a new reference cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import models

from integrations.models import Choice, CompanyLink, Credentials

MOST = 500
LEVELS = ("organization", "client", "account")


@dataclass(frozen=True)
class Use:
    """One place where a choice that is gone still stands: what it is there for, at which level, where to change it."""

    choice: Choice
    purpose: str
    level: str
    url: str

    @property
    def gone_at(self) -> datetime | None:
        return self.choice.vanished_at


def in_use(credentials: Credentials, most: int = MOST) -> list[Use]:
    """The first of them; one query for each field that can hold a choice."""
    return list(islice(uses(credentials), most))


def uses(credentials: Credentials) -> Iterator[Use]:
    yield from by_company_link(credentials)
    for field in referring_fields():
        yield from by_field(credentials, field)


def referring_fields() -> list[Any]:
    """Every foreign key to a choice, of any room."""
    relations = Choice._meta.get_fields(include_hidden=True)
    fields = [relation.field for relation in relations if isinstance(relation, models.ManyToOneRel)]
    return sorted(fields, key=lambda field: (field.model._meta.label, field.creation_counter))


def by_field(credentials: Credentials, field: Any) -> Iterator[Use]:
    names = {one.name for one in field.model._meta.fields}
    levels = [name for name in LEVELS if name in names]
    rows = field.model._default_manager.filter(
        **{
            "partner_id": credentials.partner_id,
            f"{field.name}__credentials": credentials,
            f"{field.name}__vanished_at__isnull": False,
        }
    )
    for row in rows.select_related(field.name, *levels).order_by("pk")[:MOST]:
        level = next((str(found) for name in levels if (found := getattr(row, name))), "")
        purpose = f"{field.verbose_name} of {row._meta.verbose_name}"
        yield Use(getattr(row, field.name), purpose[:1].upper() + purpose[1:], level, row.get_absolute_url())


def by_company_link(credentials: Credentials) -> Iterator[Use]:
    """Clients that are linked to a company which is gone: links hold the PSA's id."""
    gone = Choice.objects.filter(credentials=credentials, kind="company", vanished_at__isnull=False)
    links = CompanyLink.objects.filter(credentials=credentials, psa_company_id__in=gone.values("psa_id"))
    found = list(links.select_related("client").order_by("client__name")[:MOST])
    companies = {row.psa_id: row for row in gone.filter(psa_id__in=[link.psa_company_id for link in found])}
    for link in found:
        company = companies[link.psa_company_id]
        yield Use(company, "PSA company of a client", str(link.client), link.get_absolute_url())
