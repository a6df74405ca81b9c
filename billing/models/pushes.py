"""When clients are synchronized, what was planned, approved and pushed, and what is a question first."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from billing.models.catalogue import Service
from integrations.models import Credentials, Delivery
from portal import clock
from portal.models import Client, User
from portal.tenancy import TenantModel


class SynchronizeWindow(TenantModel):
    """When a client was last synchronized; the 12 h rule counts from there. Only successes move it."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="synchronize_window")
    last_success_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.client}: next not before {self.next_at}"


class PushBatch(TenantModel):
    """Pushes, or undos, of several clients that were asked for together."""

    cause = models.CharField(max_length=40)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=clock.now)
    undoes = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="undos")

    class Meta:
        verbose_name_plural = "push batches"
        ordering = ("-asked_at", "-id")

    def __str__(self) -> str:
        return f"{self.cause.replace('_', ' ').capitalize()} {self.asked_at:%Y-%m-%d %H:%M}"


class SynchronizeOrder(TenantModel):
    """What people add to a synchronization that waits: who asked first, the batch it belongs to, how far it goes.

    `is_narrow`: it carries out what was decided and leaves all else to the push day. Without a row it is neither.
    """

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="order")
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    batch = models.ForeignKey(PushBatch, null=True, on_delete=models.SET_NULL, related_name="+")
    is_narrow = models.BooleanField("only what was decided", default=False)

    def __str__(self) -> str:
        return f"{self.delivery}: {'only what was decided' if self.is_narrow else 'everything'}"


class PushRun(TenantModel):
    """One synchronization of one client's agreement: what was wanted, planned and done. The unit of undo.

    `sent_at` is set while a write of it may be on its way to the PSA: from before the first byte until a clear answer,
    or until no late one can come any more. `in doubt` says that whether its last write was carried out was never told.

    `plan` and its `digest` are what is sent. In approve mode it waits; `approved_digest` is what somebody said yes to.
    `undoes` is the run whose values this one writes back; it is planned, then waits for a yes in every mode.
    """

    class State(models.TextChoices):
        PLANNING = "planning", "Being planned"
        WAITING = "waiting", "Waiting for approval"
        APPROVED = "approved"
        PLANNED = "planned"
        DONE = "done"
        PARTLY = "partly"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"
        OBSERVED = "observed"
        REJECTED = "rejected"
        VOID = "void", "Planned again"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="push_runs")
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="push_runs")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(PushBatch, null=True, on_delete=models.SET_NULL, related_name="runs")
    agreement_id = models.CharField(max_length=50)
    agreement_name = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    plan = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    undoes = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="undos")
    needs_four_eyes = models.BooleanField("four eyes", default=False)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    settings_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_as = models.CharField("decided by (name)", max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True)
    approved_digest = models.CharField(max_length=64, blank=True)
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
            models.UniqueConstraint(
                fields=["client", "credentials", "agreement_id"],
                condition=Q(undoes=None, state__in=("waiting", "approved")),
                name="one_push_to_be_decided_per_agreement",
            ),
            models.UniqueConstraint(
                fields=["undoes"],
                condition=Q(
                    undoes__isnull=False,
                    state__in=("planning", "waiting", "approved", "planned", "done", "in_doubt"),
                ),
                name="one_undo_per_push",
            ),
            models.CheckConstraint(
                condition=Q(approved_digest="")
                | Q(approved_digest=F("digest"), decided_at__isnull=False) & ~Q(decided_as=""),
                name="what_is_sent_is_what_was_approved",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | ~Q(approved_digest=""),
                name="approved_push_says_what_was_approved",
            ),
            models.CheckConstraint(
                condition=Q(needs_four_eyes=False)
                | Q(approved_digest="")
                | Q(decided_by__isnull=False)
                & (Q(asked_by=None) | ~Q(asked_by=F("decided_by")))
                & (Q(settings_by=None) | ~Q(settings_by=F("decided_by"))),
                name="four_eyes_are_of_two_people",
            ),
        )
        indexes = (
            models.Index(fields=["client", "-started_at"], name="push_run_of_client"),
            models.Index(fields=["partner", "-started_at", "-id"], name="push_run_page"),
            models.Index(fields=["partner", "state"], name="push_run_by_state"),
        )

    def __str__(self) -> str:
        return f"{self.client} {self.started_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        return reverse("push_run", args=[self.pk])


class Question(TenantModel):
    """A change of one service that is not pushed until somebody says so, with the numbers that made us ask.

    `current` is what the PSA says, `proposed` what would be pushed. One that was answered holds until `settled_at`.
    """

    class Kind(models.TextChoices):
        ZERO = "zero", "Nothing is used any more"
        JUMP = "jump", "A large change"
        FLEET = "fleet", "Many clients change at once"
        INVOICE = "invoice", "Shortly before an invoice"
        MANUAL = "manual", "Changed by hand in the PSA"
        UNDONE = "undone", "Was undone"

    class Answer(models.TextChoices):
        PUSH = "push", "Push it"
        KEEP = "keep", "Keep the old"
        KEEP_UNTIL = "keep_until", "Keep mine until"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="questions")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    agreement_id = models.CharField(max_length=50)
    kind = models.CharField(max_length=10, choices=Kind)
    text = models.TextField()
    evidence = models.JSONField(default=dict)
    current = models.DecimalField(max_digits=18, decimal_places=4)
    proposed = models.DecimalField(max_digits=18, decimal_places=4)
    asked_at = models.DateTimeField(default=clock.now)
    answer = models.CharField(max_length=10, choices=Answer, blank=True)
    keep_until = models.DateField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    answered_as = models.CharField(max_length=254, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-asked_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials", "service"],
                condition=Q(settled_at=None),
                name="one_question_per_client_and_service",
            ),
            models.CheckConstraint(
                condition=~Q(answer="keep_until") | Q(keep_until__isnull=False), name="keep_until_names_a_day"
            ),
            models.CheckConstraint(
                condition=Q(answer="") | Q(answered_at__isnull=False) & ~Q(answered_as=""),
                name="answer_has_somebody_who_gave_it",
            ),
        )
        indexes = (models.Index(fields=["partner", "-asked_at", "-id"], name="question_page"),)

    def __str__(self) -> str:
        return f"{self.client}: {self.service}, {self.get_kind_display()}"


class PushItem(TenantModel):
    """One service in a push run: before, after, the line's id in the PSA, and what came of it.

    `quantity` is what the line should say (null for what is withheld, and for runs of before it was stored), `included`
    what the line included when it was planned. `reason` is a stable word for why a held one is not pushed.
    """

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
    reason = models.CharField("why it was not pushed", max_length=40, blank=True)
    quantity = models.DecimalField("wanted quantity", max_digits=18, decimal_places=4, null=True)
    included = models.DecimalField("included units", max_digits=18, decimal_places=4, null=True)
    question = models.ForeignKey(Question, null=True, on_delete=models.SET_NULL, related_name="items")

    class Meta:
        ordering = ("service__name",)
        constraints = (
            models.UniqueConstraint(fields=["run", "service"], name="one_item_per_run_and_service"),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.state}"


class BilledLine(TenantModel):
    """What we last knew the line of a service to say: we wrote it, or read it to be as wanted.

    Another quantity in the PSA is somebody's own. `maybe` is one that was sent without an answer yet.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="billed_lines")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    agreement_id = models.CharField(max_length=50)
    line_id = models.CharField(max_length=50, blank=True)
    quantity = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    maybe = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    known_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials", "service"], name="one_billed_line_per_client_and_service"
            ),
        )
        indexes = (models.Index(fields=["partner", "service"], name="billed_line_of_service"),)

    def __str__(self) -> str:
        return f"{self.service}: {self.quantity}"
