"""Partners, their organization tree, their clients and the clients' accounts."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from portal import clock
from portal.tenancy import Identified, TenantModel


class Mode(models.TextChoices):
    """What a module may do at the PSA."""

    LIVE = "live", "Live"
    APPROVE = "approve", "Approve"
    OBSERVE = "observe", "Observe"


# Tickets and statistics cannot wait for a yes: an alarm would be over before anybody looked.
WITHOUT_APPROVAL = [(mode.value, mode.label) for mode in (Mode.LIVE, Mode.OBSERVE)]


def check_time_zone(name: str) -> None:
    """Raises ValidationError unless the name is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(f"“{name}” is not a time zone; write it like Europe/Berlin.") from error


class Partner(Identified):
    """An MSP: the tenant."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=60, default="UTC", validators=[check_time_zone])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    second_factor_from = models.DateField(
        null=True, blank=True, help_text="From this day on everybody here signs in with a second factor."
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Modes(models.Model):
    """The three modules' modes at one level; null inherits from the level above (live when nobody says)."""

    tickets_mode = models.CharField(max_length=10, choices=WITHOUT_APPROVAL, null=True, blank=True)
    billing_mode = models.CharField(max_length=10, choices=Mode, null=True, blank=True)
    statistics_mode = models.CharField(max_length=10, choices=WITHOUT_APPROVAL, null=True, blank=True)

    class Meta:
        abstract = True


class Organization(TenantModel, Modes):
    """A node of a partner's tree; settings inherit downwards. Each partner has one without a parent."""

    name = models.CharField(max_length=200)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=["partner"], condition=Q(parent=None), name="one_top_level_organization_per_partner"
            ),
            models.CheckConstraint(
                condition=~Q(parent=models.F("id")), name="organization_not_its_own_parent"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Client(TenantModel, Modes):
    """An end customer of a partner. `number` is the client id that people know, unique in the deployment."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="clients")
    name = models.CharField(max_length=200)
    number = models.PositiveBigIntegerField("client id", unique=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("name",)
        indexes = (models.Index("partner", Lower("name"), name="client_by_name"),)

    def __str__(self) -> str:
        return self.name

    @property
    def managed_id(self) -> str:
        """The id by which PSA records name this client, e.g. `EFS-19652`."""
        return f"{settings.MANAGED_ID_PREFIX}{self.number}"


class Account(TenantModel):
    """A protected thing's owner or an appliance under a client: what usage is broken down by."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="accounts")
    key = models.CharField("account no.", max_length=100)
    name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=["client", "key"], name="one_account_per_number"),)
        indexes = (models.Index(fields=["partner", "key", "id"], name="account_page"),)

    def __str__(self) -> str:
        return self.name or self.key


CLIENT_NUMBER = re.compile(r"^[1-9][0-9]{0,17}$")


def client_number_of(reference: Any) -> int | None:
    """The client id in `19652`, `"19652"` or `EFS-19652`; None when the reference has another form."""
    text = str(reference).strip()
    text = text.removeprefix(settings.MANAGED_ID_PREFIX)
    return int(text) if CLIENT_NUMBER.match(text) else None
