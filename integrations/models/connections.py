"""How a partner signs in at a PSA, the lane of each connection, and which PSA company a client is."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from portal import clock
from portal.encryption import EncryptedJSONField
from portal.models import Client, Organization
from portal.tenancy import TenantModel


class Kind(models.TextChoices):
    """The PSAs we speak; the words of the seeds' drop-down "Configure using"."""

    CONNECTWISE = "connectwise", "ConnectWise PSA"
    AUTOTASK = "autotask", "Autotask PSA"
    NONE = "none", "No PSA"


class Standing(models.TextChoices):
    """Whether credentials are those of their level, or wait to be, or were."""

    CURRENT = "current", "In effect"
    DRAFT = "draft", "Being prepared"
    FORMER = "former", "Replaced"


class Credentials(TenantModel):
    """How one organization or one client signs in at one PSA; lower levels without credentials of their own inherit.

    `secret` is `{"id": <id of this row>, "secret": <private key>}`: a token copied to another row is refused on read.
    `version` grows with each change, so that a lane notices. `also_used` names features that no mode speaks of, for
    which Test It looks as well.

    A level that goes to another PSA gets another row: those that were replaced (`former`) keep their tickets, which are
    followed and closed where they are; `left_empty` lists the choices that had no counterpart at the new PSA.
    """

    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials"
    )
    client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials"
    )
    kind = models.CharField("configure using", max_length=20, choices=Kind, default=Kind.CONNECTWISE)
    site_url = models.CharField("site URL", max_length=300, blank=True)
    login_company = models.CharField("login company (MSP company ID)", max_length=100, blank=True)
    public_key = models.CharField("public key (API key)", max_length=100, blank=True)
    secret = EncryptedJSONField(null=True, blank=True, editable=False)
    secret_fingerprint = models.CharField(max_length=12, blank=True, editable=False)
    secret_hint = models.CharField(max_length=4, blank=True, editable=False)
    secret_set_at = models.DateTimeField(null=True, editable=False)
    secret_set_by = models.CharField(max_length=254, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    test_asked_at = models.DateTimeField(null=True, editable=False)
    tested_at = models.DateTimeField(null=True, editable=False)
    test_passed = models.BooleanField(null=True, editable=False)
    test_report = models.JSONField(default=list, editable=False)
    also_used = models.JSONField(default=list, editable=False)
    standing = models.CharField(
        max_length=10, choices=Standing, default=Standing.CURRENT, db_default=Standing.CURRENT, editable=False
    )
    replaced_at = models.DateTimeField(null=True, editable=False)
    left_empty = models.JSONField(null=True, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "PSA credentials"
        ordering = ("created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "standing"],
                condition=~Q(standing="former"),
                name="one_credentials_per_organization",
            ),
            models.UniqueConstraint(
                fields=["client", "standing"],
                condition=~Q(standing="former"),
                name="one_credentials_per_client",
            ),
            models.CheckConstraint(
                condition=Q(organization=None, client__isnull=False)
                | Q(organization__isnull=False, client=None),
                name="credentials_of_an_organization_or_a_client",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.level}"

    @property
    def level(self) -> Organization | Client:
        """Where these credentials are configured."""
        level = self.organization or self.client
        assert level is not None  # held by a constraint
        return level


class Lane(TenantModel):
    """The one way to a connection's PSA: who drains it, how wide it is, and whether it is open.

    `fence` grows with each new holder; a result that carries an older fence is dropped. The breaker is open while
    `open_until` lies in the future or `breaker` is not empty and no probe is due. `blocked` maps an action to why the
    PSA does not permit it, so that one missing right does not stop the others. `untold_since` stands until the
    partner's managers have been told of the last trouble; `telling_until` is one worker's time to do so. Until
    `reports_open_at` the hour's calls are kept for tickets.
    """

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="lane")
    holder = models.UUIDField(null=True, blank=True, editable=False)
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveBigIntegerField(default=0, editable=False)
    is_paused = models.BooleanField(default=False)
    breaker = models.CharField(max_length=30, blank=True, editable=False)
    breaker_text = models.TextField(blank=True, editable=False)
    breaker_since = models.DateTimeField(null=True, editable=False)
    open_until = models.DateTimeField(null=True, editable=False)
    probes = models.PositiveIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    blocked = models.JSONField(default=dict, editable=False)
    reports_open_at = models.DateTimeField(null=True, editable=False)
    facts = models.JSONField(default=list, editable=False)
    calls_per_minute = models.PositiveIntegerField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, editable=False)
    untold_since = models.DateTimeField(null=True, editable=False)
    telling_until = models.DateTimeField(null=True, editable=False)
    concurrency = models.PositiveIntegerField("at most so many calls at once", null=True, blank=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"Lane of {self.credentials_id}"


class Origin(models.TextChoices):
    """Which way a mapping came in."""

    PORTAL = "portal", "by hand"
    SUGGESTION = "suggestion", "from a suggestion"
    IMPORT = "import", "from a file"
    API = "api", "over REST"
    NEW_CLIENT = "new_client", "with a new client"
    TAB = "tab", "in the tab inside the PSA"


class CompanyLink(TenantModel):
    """Which PSA company a client is, at one connection. An empty `psa_company_id` is an explicit skip.

    Several clients may be one PSA company (an MSP splits a company by site); pages and API warn of it.
    `psa_company_name` is the name that was mapped: when the PSA's is another by now, the company was renamed.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="company_links")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="company_links")
    psa_company_id = models.CharField("PSA company id", max_length=50, blank=True)
    psa_company_name = models.CharField("PSA company", max_length=300, blank=True)
    linked_at = models.DateTimeField(default=clock.now, editable=False)
    linked_by = models.CharField(max_length=254, blank=True, editable=False)
    origin = models.CharField(max_length=20, choices=Origin, blank=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials"], name="one_company_per_client_and_connection"
            ),
        )
        indexes = (models.Index(fields=["credentials", "psa_company_id"], name="link_of_company"),)

    def __str__(self) -> str:
        return self.psa_company_name or "skipped"

    def get_absolute_url(self) -> str:
        return reverse("client_mapping", args=[self.client_id])


class CompanySuggestion(TenantModel):
    """The PSA company that an unmapped client probably is; never applied by itself.

    It holds only while client and company still have the names it was made from, and are not mapped.
    `is_clear` when no other company fits as well and no other client fits that company: only such ones are offered for
    accepting in bulk. `rival` names who else fits.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="company_suggestions")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="company_suggestions")
    client_name = models.CharField(max_length=200)
    psa_company_id = models.CharField("PSA company id", max_length=50)
    psa_company_name = models.CharField("PSA company", max_length=300)
    score = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=200)
    is_clear = models.BooleanField(default=False)
    rival = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("-score", "client_name")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials"], name="one_suggestion_per_client_and_connection"
            ),
            models.CheckConstraint(condition=Q(score__lte=100), name="suggestion_score_up_to_100"),
            models.CheckConstraint(condition=~Q(psa_company_id=""), name="suggestion_names_a_company"),
        )

    def __str__(self) -> str:
        return f"{self.psa_company_name} ({self.score})"


class CatchAllCompany(TenantModel):
    """The PSA company that gets the tickets of clients nobody has mapped yet. Billing never uses it."""

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="catch_all")
    psa_company_id = models.CharField("PSA company id", max_length=50)
    psa_company_name = models.CharField("PSA company", max_length=300)
    chosen_at = models.DateTimeField(default=clock.now, editable=False)
    chosen_by = models.CharField(max_length=254, blank=True, editable=False)

    class Meta:
        verbose_name = "catch-all company"
        verbose_name_plural = "catch-all companies"
        constraints = (
            models.CheckConstraint(condition=~Q(psa_company_id=""), name="catch_all_names_a_company"),
        )

    def __str__(self) -> str:
        return self.psa_company_name
