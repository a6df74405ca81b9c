"""How tickets look, level by level, and who changed what about it."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from integrations.models import Choice
from portal import clock
from portal.models import Account, Client, Organization
from portal.tenancy import TenantModel

Level = Organization | Client | Account


def chosen(name: str = "") -> Any:
    """One value of the PSA, by id; never deleted while it is in use."""
    return models.ForeignKey(
        Choice, verbose_name=name or None, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )


def number(name: str, most: int, help_text: str = "") -> Any:
    return models.PositiveIntegerField(
        name, null=True, blank=True, validators=[MaxValueValidator(most)], help_text=help_text
    )


class TicketSettings(TenantModel):
    """How tickets look at one level; every null inherits from the level above. Choices are PSA records by id.

    The levels are organization, client and account (an appliance). `priority_*` are for one severity each, `priority`
    is for those that have none. A zero in the numbers switches off: 0 days never reopens, 0 hours never reminds.
    """

    organization = models.OneToOneField(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_settings"
    )
    client = models.OneToOneField(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_settings"
    )
    account = models.OneToOneField(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_settings"
    )
    board = chosen("service board")
    new_status = chosen("initial status")
    closing_status = chosen()
    type = chosen("service type")
    subtype = chosen()
    item = chosen()
    category = chosen("ticket category")
    priority = chosen("ticket priority")
    priority_info = chosen("priority of info")
    priority_warning = chosen("priority of warning")
    priority_error = chosen("priority of error")
    priority_critical = chosen("priority of critical")
    source = chosen()
    contact = chosen()
    agreement = chosen()
    due_in_hours = number("due in (hours)", 8760)
    summary_template = models.CharField(max_length=500, null=True, blank=True)
    body_template = models.TextField(max_length=8000, null=True, blank=True)
    automatic_closure = models.BooleanField("automatic ticket closure", null=True, blank=True)
    closes_only_untouched = models.BooleanField("only if nobody touched it", null=True, blank=True)
    reopen_within_days = number("reopen within (days)", 365)
    notes_per_hour = number("notes per hour, at most", 60)
    reminder_after_hours = number("reminder after (hours)", 8760)
    reminder_opens_ticket = models.BooleanField("the reminder is a new ticket", null=True, blank=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "ticket settings"
        constraints = (
            models.CheckConstraint(
                condition=Q(organization__isnull=False, client=None, account=None)
                | Q(organization=None, client__isnull=False, account=None)
                | Q(organization=None, client=None, account__isnull=False),
                name="ticket_settings_of_one_level",
            ),
            models.CheckConstraint(
                condition=Q(reopen_within_days=None) | Q(reopen_within_days__lte=365),
                name="ticket_reopens_within_a_year",
            ),
            models.CheckConstraint(
                condition=Q(notes_per_hour=None) | Q(notes_per_hour__lte=60),
                name="ticket_gets_a_note_a_minute_at_most",
            ),
        )

    def __str__(self) -> str:
        return f"Ticket settings of {self.organization or self.client or self.account}"

    def get_absolute_url(self) -> str:
        if self.account_id:
            return reverse("account_settings", args=[self.account_id])
        if self.client_id:
            return reverse("client_settings", args=[self.client_id])
        return reverse("setup_of", args=[self.organization_id])


class SettingChange(TenantModel):
    """One field of the ticket settings of one level as somebody changed it. Never changed itself, never deleted.

    `old` and `new` are what the level said itself, null when it inherited: `{"value": ...}`, and for what the PSA
    offers `{"id": <our choice>, "name": ...}`. `change` is the same for all that was saved at once.
    """

    class Origin(models.TextChoices):
        SAVED = "saved", "saved"
        RESET = "reset", "reset to defaults"
        UNDONE = "undone", "undone"
        REPOINTED = "repointed", "connection changed"

    level_id = models.UUIDField()
    level_name = models.CharField(max_length=200)
    field = models.CharField(max_length=40)
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    change = models.UUIDField()
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.SAVED)
    undoes = models.UUIDField(null=True)
    changed_at = models.DateTimeField(default=clock.now)
    changed_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ("-changed_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["change", "level_id", "field"], name="one_change_per_field"),
        )
        indexes = (
            models.Index(fields=["level_id", "field", "-changed_at"], name="setting_change_of_level"),
            models.Index(fields=["partner", "-changed_at", "-id"], name="setting_change_page"),
        )

    def __str__(self) -> str:
        return f"{self.field} of {self.level_name}"


class ClientAddress(TenantModel):
    """Where a client is, as the mapped PSA company says or as somebody typed it; tickets carry it where a PSA can.

    `location` is the PSA company's territory, `id_number` its identifier; `company_id` the company they were read of,
    `read` the address as it stood there. `tried_at` is the last attempt to read, of the mapping made at
    `linked_at_tried`. `edited_by` is who typed the address, which is then not overwritten without being asked for.
    """

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="address")
    address_line_1 = models.CharField(max_length=128, blank=True)
    address_line_2 = models.CharField(max_length=128, blank=True)
    city = models.CharField(max_length=50, blank=True)
    state = models.CharField(max_length=50, blank=True)
    zip = models.CharField(max_length=20, blank=True)
    location = models.CharField(max_length=100, blank=True)
    id_number = models.CharField("ID number", max_length=156, blank=True)
    site_id = models.CharField("PSA site id", max_length=50, blank=True)
    credentials = models.ForeignKey(
        "integrations.Credentials", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    company_id = models.CharField("PSA company id", max_length=50, blank=True)
    read = models.JSONField(default=dict)
    read_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    linked_at_tried = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)
    edited_at = models.DateTimeField(null=True)
    edited_by = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name_plural = "client addresses"

    def __str__(self) -> str:
        town = " ".join(part for part in (self.city, self.state, self.zip) if part)
        return ", ".join(part for part in (self.address_line_1, self.address_line_2, town) if part)


class TicketTest(TenantModel):
    """One test ticket of a client: asked for, opened, closed; each step with what came of it.

    Its `external_ref` is stored before anything is sent and is in no condition's form, so that sweep and following
    never take the ticket for one of theirs.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        PASSED = "passed"
        FAILED = "failed"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="ticket_tests")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="+")
    credentials = models.ForeignKey("integrations.Credentials", on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    external_ref = models.CharField(max_length=100, unique=True)
    psa_id = models.CharField(max_length=50, blank=True)
    url = models.CharField(max_length=500, blank=True)
    steps = models.JSONField(default=list)
    asked_at = models.DateTimeField(default=clock.now)
    asked_by = models.CharField(max_length=254, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-asked_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["client"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_ticket_test_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"Test ticket of {self.client}"
