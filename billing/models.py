"""The billing room's tables: what is metered, what it is in the PSA, and what was pushed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from integrations.models import Choice, Credentials, Delivery
from portal import clock
from portal.models import Account, Client, Organization
from portal.tenancy import Identified, TenantModel


class Service(Identified):
    """What the vendor meters and sells, the same for all partners."""

    class Aggregation(models.TextChoices):
        LAST = "last", "Last value"
        PEAK = "peak", "Highest value"
        AVERAGE = "average", "Average"
        SUM = "sum", "Sum"

    class Rounding(models.TextChoices):
        UP = "up", "Up to whole units"
        DOWN = "down", "Down to whole units"
        NEAREST = "nearest", "To the nearest whole unit"
        NONE = "none", "Not at all"

    key = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    unit = models.CharField(max_length=30)
    aggregation = models.CharField(max_length=10, choices=Aggregation, default=Aggregation.LAST)
    rounding = models.CharField(max_length=10, choices=Rounding, default=Rounding.UP)
    billed_by_default = models.BooleanField(default=True)
    is_yes_no = models.BooleanField("yes/no service", default=False)
    help_text = models.TextField(blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class CrossReference(TenantModel):
    """Which PSA product a service is, at one level; lower levels inherit. `is_billed` False means "unticked"."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="cross_references")
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="cross_references"
    )
    client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="cross_references"
    )
    product = models.ForeignKey(Choice, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_billed = models.BooleanField("billed", default=True)
    level = models.CharField(max_length=255, blank=True)
    type = models.CharField(max_length=255, blank=True)
    configuration_type = models.CharField(max_length=255, blank=True)
    agreement_type = models.CharField(max_length=255, blank=True)
    updates_description = models.BooleanField("update invoice descriptions", default=True)

    class Meta:
        ordering = ("service__name",)
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "service"],
                condition=Q(client=None),
                name="one_cross_reference_per_organization_and_service",
            ),
            models.UniqueConstraint(
                fields=["client", "service"],
                condition=Q(organization=None),
                name="one_cross_reference_per_client_and_service",
            ),
            models.CheckConstraint(
                condition=Q(organization=None, client__isnull=False)
                | Q(organization__isnull=False, client=None),
                name="cross_reference_of_an_organization_or_a_client",
            ),
        )

    def __str__(self) -> str:
        return f"{self.service} → {self.product or 'no product'}"

    def get_absolute_url(self) -> str:
        return reverse("setup")


class AgreementLink(TenantModel):
    """Which agreement a client's services are billed on; `service` null stands for all services without their own."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="agreement_links")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    agreement = models.ForeignKey(Choice, on_delete=models.PROTECT, related_name="+")
    creates_lines = models.BooleanField("create missing lines", default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials", "service"], name="one_agreement_per_client_and_service"
            ),
            models.UniqueConstraint(
                fields=["client", "credentials"],
                condition=Q(service=None),
                name="one_agreement_per_client_for_the_rest",
            ),
        )

    def __str__(self) -> str:
        return self.agreement.name

    def get_absolute_url(self) -> str:
        return reverse("client_agreement", args=[self.client_id])


class Usage(TenantModel):
    """What one account used of one service on one day, as one source told it. Rows are never changed, except that a
    later word for the same day takes `is_current` from the earlier one."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="usage")
    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="usage")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    measured_on = models.DateField()
    quantity = models.DecimalField(max_digits=18, decimal_places=4)
    source = models.CharField(max_length=100, blank=True)
    recorded_at = models.DateTimeField(default=clock.now)
    is_current = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "usage"
        ordering = ("-measured_on", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "account", "service", "measured_on"],
                condition=Q(is_current=True, account__isnull=False),
                name="one_current_usage_per_account_service_day",
            ),
            models.UniqueConstraint(
                fields=["client", "service", "measured_on"],
                condition=Q(is_current=True, account=None),
                name="one_current_usage_per_client_service_day",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="usage_is_not_negative"),
        )
        indexes = (
            models.Index(
                fields=["client", "service", "-measured_on"],
                condition=Q(is_current=True),
                name="usage_current",
            ),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.quantity} on {self.measured_on}"


class SynchronizeWindow(TenantModel):
    """When a client was last synchronized; the 12 h rule counts from there. Only successes move it."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="synchronize_window")
    last_success_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.client}: next not before {self.next_at}"


class PushRun(TenantModel):
    """One synchronization of one client's agreement: what was wanted, planned and done. The unit of undo.

    `sent_at` is set while a write of it may be on its way to the PSA: from before the first byte until a clear answer,
    or until no late one can come any more. `in doubt` says that whether its last write was carried out was never told.
    """

    class State(models.TextChoices):
        PLANNED = "planned"
        DONE = "done"
        PARTLY = "partly"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"
        OBSERVED = "observed"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="push_runs")
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="push_runs")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    agreement_id = models.CharField(max_length=50)
    agreement_name = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    plan = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True)
    error_text = models.TextField(blank=True)

    class Meta:
        ordering = ("-started_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials", "agreement_id"],
                condition=Q(sent_at__isnull=False),
                name="one_push_on_its_way_per_agreement",
            ),
            models.CheckConstraint(
                condition=Q(sent_at=None) | Q(state__in=("planned", "in_doubt")),
                name="finished_push_is_not_on_its_way",
            ),
        )
        indexes = (models.Index(fields=["client", "-started_at"], name="push_run_of_client"),)

    def __str__(self) -> str:
        return f"{self.client} {self.started_at:%Y-%m-%d %H:%M}"


class PushItem(TenantModel):
    """One service in a push run: before, after, the line's id in the PSA, and what came of it."""

    class State(models.TextChoices):
        PLANNED = "planned"
        DONE = "done"
        UNCHANGED = "unchanged"
        HELD = "held"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"

    run = models.ForeignKey(PushRun, on_delete=models.CASCADE, related_name="items")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    line_id = models.CharField(max_length=50, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ("service__name",)
        constraints = (
            models.UniqueConstraint(fields=["run", "service"], name="one_item_per_run_and_service"),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.state}"
