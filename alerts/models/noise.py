"""What keeps a partner's boards quiet: filters, windows, settings, and what is held back just now because of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from alerts.models.tickets import Condition
from integrations.models import Event
from portal import clock
from portal.models import Account, Client, Organization
from portal.tenancy import TenantModel


class DropFilter(TenantModel):
    """Events that lead to nothing. Empty lists match anything; of `phrases` one is enough, in any case of letters.

    A dropped event stays in the event log and is counted; recoveries of what is failing are never dropped.
    """

    name = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    sources = models.JSONField(default=list, blank=True)
    event_types = models.JSONField(default=list, blank=True)
    severities = models.JSONField(default=list, blank=True)
    phrases = models.JSONField(default=list, blank=True)
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    client = models.ForeignKey(Client, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    is_enabled = models.BooleanField("enabled", default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=254, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    dropped = models.PositiveBigIntegerField(default=0, editable=False)
    matched_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("created_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None) | Q(client=None), name="drop_filter_has_one_scope_at_most"
            ),
        )

    def __str__(self) -> str:
        return self.name


class MaintenanceWindow(TenantModel):
    """A time in which problems get no ticket, once or again and again, on the clocks of the partner's time zone.

    The first occurrence is on `first_on` at `starts_at` and lasts until `ends_at` on the wall clock, `days` midnights
    later. `changed_start` names one occurrence that ends at `changed_end` instead (ended early, or extended).
    `over_at` is when the last one is over; null for one that repeats without end.
    """

    class Repeats(models.TextChoices):
        ONCE = "once", "Once"
        WEEKLY = "weekly", "Every week"
        MONTHLY_DAY = "monthly_day", "Every month on this day"
        MONTHLY_WEEKDAY = "monthly_weekday", "Every month on this weekday of the month"

    name = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    client = models.ForeignKey(Client, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    repeats = models.CharField(max_length=20, choices=Repeats, default=Repeats.ONCE)
    weekdays = models.JSONField(default=list, blank=True)
    first_on = models.DateField()
    starts_at = models.TimeField()
    ends_at = models.TimeField()
    days = models.PositiveSmallIntegerField(default=0)
    last_on = models.DateField(null=True, blank=True)
    changed_start = models.DateTimeField(null=True, editable=False)
    changed_end = models.DateTimeField(null=True, editable=False)
    over_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=254, blank=True, editable=False)
    held = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("first_on", "starts_at")
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None, client=None)
                | Q(organization=None, account=None)
                | Q(client=None, account=None),
                name="window_has_one_scope_at_most",
            ),
            models.CheckConstraint(
                condition=Q(days__gt=0) | Q(ends_at__gt=F("starts_at")), name="window_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(changed_start=None, changed_end=None)
                | Q(changed_start__isnull=False, changed_end__gte=F("changed_start")),
                name="changed_window_ends_after_it_starts",
            ),
        )

    def __str__(self) -> str:
        return self.name


class NoiseSettings(TenantModel):
    """How a partner wants repeating, swinging and flooding problems to be handled; null or empty is off.

    `durations` maps an event type to minutes of failing before a ticket. A condition that changed `flap_changes` times
    in `flap_minutes` keeps its ticket until it was quiet for so long. While an event of `parent_types` stands for an
    account, the account's other problems get no ticket. Above so many new tickets in `storm_minutes` the rest goes
    into one storm ticket, at `storm_client` for the whole partner's.
    """

    durations = models.JSONField(default=dict, blank=True)
    flap_changes = models.PositiveSmallIntegerField(null=True, blank=True)
    flap_minutes = models.PositiveIntegerField(default=60)
    parent_types = models.JSONField(default=list, blank=True)
    storm_client_tickets = models.PositiveIntegerField(null=True, blank=True)
    storm_partner_tickets = models.PositiveIntegerField(null=True, blank=True)
    storm_minutes = models.PositiveIntegerField(default=10)
    storm_client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    tickets_after_storm = models.BooleanField(default=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "noise settings"
        constraints = (
            models.UniqueConstraint(fields=["partner"], name="one_noise_settings_per_partner"),
            models.CheckConstraint(
                condition=Q(flap_minutes__gt=0, storm_minutes__gt=0), name="noise_is_measured_in_some_time"
            ),
        )

    def __str__(self) -> str:
        return f"Noise settings of {self.partner}"


class Storm(TenantModel):
    """A time in which a client (or, without one, the partner) got more new tickets than its brake lets through.

    `home` is the client whose PSA company gets the one ticket, `condition` what that ticket is about. `last_at` is
    when the brake last held something back. It is over when nothing is held by it any more.
    """

    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="+")
    home = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    condition = models.ForeignKey(Condition, null=True, on_delete=models.SET_NULL, related_name="+")
    began_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True)
    held = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-began_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["client"],
                condition=Q(ended_at=None, client__isnull=False),
                name="one_storm_per_client",
            ),
            models.UniqueConstraint(
                fields=["partner"], condition=Q(ended_at=None, client=None), name="one_storm_per_partner"
            ),
        )

    def __str__(self) -> str:
        return f"Storm of {self.began_at:%Y-%m-%d %H:%M}"


class HoldKind(models.TextChoices):
    """What holds back."""

    WINDOW = "window", "maintenance window"
    DURATION = "duration", "minimum duration"
    FLAPPING = "flapping", "flapping"
    PARENT = "parent", "outage of the whole account"
    GROUP = "group", "group"
    STORM = "storm", "storm"


class Hold(TenantModel):
    """Why a failing condition that a notification wants a ticket for has none just now; at most one a condition.

    `flapping` holds back the closing instead: the ticket stays open while the condition comes and goes. `event` is the
    newest that asked; it is judged again at `until`, or when `parent` recovers, or when the storm is over.
    """

    Kind = HoldKind

    condition = models.OneToOneField(Condition, on_delete=models.CASCADE, related_name="hold")
    kind = models.CharField(max_length=10, choices=HoldKind)
    event = models.ForeignKey(Event, on_delete=models.RESTRICT, related_name="+")
    rule_id = models.UUIDField(null=True)
    rule_name = models.CharField(max_length=200, blank=True)
    notification_name = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey(Condition, null=True, on_delete=models.SET_NULL, related_name="+")
    storm = models.ForeignKey(Storm, null=True, on_delete=models.SET_NULL, related_name="holds")
    since = models.DateTimeField(default=clock.now)
    until = models.DateTimeField(null=True)
    events = models.PositiveIntegerField(default=1)
    text = models.CharField(max_length=500)

    class Meta:
        ordering = ("since", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(until__isnull=False) | Q(kind__in=["parent", "group", "storm"]),
                name="hold_ends_some_time",
            ),
        )
        indexes = (
            models.Index(fields=["until"], name="hold_due"),
            models.Index(fields=["partner", "-since", "-id"], name="hold_page"),
        )

    def __str__(self) -> str:
        return self.text


class GroupLead(TenantModel):
    """The condition whose ticket stands for its group: those of a client that a notification puts into one ticket."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    notification_id = models.UUIDField()
    value = models.CharField(max_length=200)
    condition = models.ForeignKey(Condition, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["client", "notification_id", "value"], name="one_lead_per_group"),
        )

    def __str__(self) -> str:
        return f"{self.value}: {self.condition_id}"


class Swings(TenantModel):
    """When a condition lately changed between failing and fine (ISO 8601, the newest last)."""

    condition = models.OneToOneField(Condition, on_delete=models.CASCADE, related_name="+")
    at = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "swings"
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{len(self.at)} changes"


class SuppressionKind(models.TextChoices):
    """What a suppressed event ran into: a drop filter, or one of the kinds of holds."""

    FILTER = "filter", "drop filter"
    WINDOW = "window", "maintenance window"
    DURATION = "duration", "minimum duration"
    FLAPPING = "flapping", "flapping"
    PARENT = "parent", "outage of the whole account"
    GROUP = "group", "group"
    STORM = "storm", "storm"


class Suppression(TenantModel):
    """One event that led to less than the rules say, and what did it."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="suppressions")
    kind = models.CharField(max_length=10, choices=SuppressionKind)
    rule_id = models.UUIDField(null=True)
    rule_name = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=["partner", "-at", "-id"], name="suppression_page"),
            models.Index(fields=["rule_id", "-at", "-id"], name="suppression_by_rule"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.rule_name}"
