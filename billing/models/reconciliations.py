"""Months, as they are reconciled and closed: numbers with their causes, readings of agreements, evidence packs."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from billing.models.catalogue import Service
from integrations.models import Credentials
from portal import clock
from portal.models import Client, User
from portal.tenancy import TenantModel


class BillingMonth(TenantModel):
    """A calendar month of a partner, in its time zone. `month` is its first day. What is closed is never counted again.

    From `closing_at` on nothing is counted, and evidence is frozen client by client; `closed_at` is set when all is.
    `digest` is the SHA-256 of all that was frozen."""

    month = models.DateField()
    calculated_at = models.DateTimeField(null=True)
    close_asked_as = models.CharField("who asked to close it", max_length=254, blank=True)
    closing_at = models.DateTimeField("being closed since", null=True)
    closed_at = models.DateTimeField(null=True)
    closed_as = models.CharField("closed by", max_length=254, blank=True)
    digest = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-month",)
        constraints = (
            models.UniqueConstraint(fields=["partner", "month"], name="one_row_per_month"),
            models.CheckConstraint(condition=Q(month__day=1), name="month_is_its_first_day"),
            models.CheckConstraint(
                condition=Q(closed_at=None, digest="") | Q(closed_at__isnull=False) & ~Q(digest=""),
                name="closed_month_has_a_digest",
            ),
        )

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class MonthNumbers(TenantModel):
    """One client, service and month: five numbers, and the causes that make each differ from the one before.

    A number that is null is not known or cannot be read. `steps` are `billing.causes.Step` as JSON; `kinds` are the
    causes' kinds between commas, so that rows can be searched by cause. `place` is what the page is in order of.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="month_numbers")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    month = models.DateField()
    place = models.CharField(max_length=410)
    measured = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    billable = models.DecimalField(max_digits=18, decimal_places=4)
    pushed = models.DecimalField(max_digits=18, decimal_places=4)
    in_agreement = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    invoiced = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    included = models.DecimalField(max_digits=18, decimal_places=4)
    written = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    steps = models.JSONField(default=list)
    kinds = models.CharField(max_length=500, blank=True)
    differs = models.BooleanField(default=False)
    units_at_risk = models.DecimalField(max_digits=18, decimal_places=4)
    unit_price = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    at_risk = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=40, blank=True)
    agreement_id = models.CharField(max_length=50, blank=True)
    agreement_name = models.CharField(max_length=300, blank=True)
    line_id = models.CharField(max_length=50, blank=True)
    unread = models.CharField("agreement not readable", max_length=500, blank=True)
    not_invoiced = models.CharField("invoices not readable", max_length=500, blank=True)
    invoices = models.JSONField(default=list)
    read_at = models.DateTimeField(null=True)
    calculated_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "month numbers"
        ordering = ("place", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "service", "month"], name="one_row_per_client_service_month"
            ),
        )
        indexes = (
            models.Index(fields=["partner", "month", "place", "id"], name="month_numbers_page"),
            models.Index(fields=["partner", "month", "-id"], name="month_numbers_newest"),
        )

    def __str__(self) -> str:
        return f"{self.client}: {self.service}, {self.month:%Y-%m}"

    def get_absolute_url(self) -> str:
        return reverse("reconciliation_row", args=[self.pk])


class AgreementReading(TenantModel):
    """What the PSA said of one agreement when it was last read for a month: its lines, and what was invoiced.

    `trouble` is why that failed last; what was read before stays, with its time."""

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    agreement_id = models.CharField(max_length=50)
    month = models.DateField()
    lines = models.JSONField(default=list)
    invoiced = models.JSONField(default=list)
    read_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(default=clock.now)
    trouble = models.CharField(max_length=500, blank=True)
    invoices_trouble = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["credentials", "agreement_id", "month"], name="one_reading_per_agreement_and_month"
            ),
        )

    def __str__(self) -> str:
        return f"{self.agreement_id}, {self.month:%Y-%m}"


class ReadingOrder(TenantModel):
    """Somebody wants a partner's agreements read for a month; `done` of `total` are."""

    month = models.DateField()
    asked_at = models.DateTimeField(default=clock.now)
    asked_as = models.CharField("asked by", max_length=254, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    text = models.CharField(max_length=500, blank=True)
    turn_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-asked_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "month"],
                condition=Q(finished_at=None),
                name="one_reading_at_a_time_per_month",
            ),
        )

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}: {self.done} of {self.total}"

    @property
    def is_running(self) -> bool:
        return self.finished_at is None


class EvidencePack(TenantModel):
    """What a client's month was billed for, as it was when the month was closed; never changed afterwards."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="evidence_packs")
    month = models.DateField()
    facts = models.JSONField()
    digest = models.CharField(max_length=64)
    closed_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-month",)
        constraints = (
            models.UniqueConstraint(fields=["client", "month"], name="one_pack_per_client_and_month"),
        )

    def __str__(self) -> str:
        return f"{self.client}, {self.month:%Y-%m}"


class PackLink(TenantModel):
    """An address at which somebody without a login sees one evidence pack, until it expires or is revoked.

    `minute` and `opened_in_minute` bound how often it is opened."""

    pack = models.ForeignKey(EvidencePack, on_delete=models.CASCADE, related_name="links")
    made_at = models.DateTimeField(default=clock.now)
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_as = models.CharField("made by", max_length=254)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_as = models.CharField("revoked by", max_length=254, blank=True)
    opened = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField(null=True)
    minute = models.BigIntegerField(default=0)
    opened_in_minute = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-made_at", "-id")

    def __str__(self) -> str:
        return f"{self.pack}, until {self.expires_at:%Y-%m-%d}"
