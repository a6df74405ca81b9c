"""The tab that a connection has inside its PSA."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models.connections import Credentials
from portal.encryption import EncryptedJSONField
from portal.tenancy import TenantModel


class HostedTab(TenantModel):
    """Whether a connection's PSA shows our tab, and who may map a company from inside it.

    Found by `token_digest` (SHA-256 of the token in the tab's address). `secret` is `{"id", "token"}`, wrapped with
    this row's id. Only an enabled tab answers; `registration` is what the PSA knows of it (`asked` stands before the
    first write: it may know). `minute` (minutes since 1970) and `taken` count requests.
    """

    class Registration(models.TextChoices):
        NONE = "none", "not registered"
        ASKED = "asked", "perhaps registered"
        REGISTERED = "registered", "registered"

    class Mappers(models.TextChoices):
        NOBODY = "nobody", "Nobody"
        MANAGERS = "managers", "PSA members with the e-mail address of a Partner Senior Manager"

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="hosted_tab")
    is_enabled = models.BooleanField("the tab answers", default=False)
    mappers = models.CharField(
        "who may map a company in the tab", max_length=10, choices=Mappers, default=Mappers.NOBODY
    )
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    secret = EncryptedJSONField(editable=False)
    registration = models.CharField(
        max_length=12, choices=Registration, default=Registration.NONE, editable=False
    )
    registered_id = models.CharField(max_length=50, blank=True, editable=False)
    registered_at = models.DateTimeField(null=True, editable=False)
    problem = models.TextField(blank=True, editable=False)
    shown_at = models.DateTimeField(null=True, editable=False)
    shown_to = models.CharField(max_length=100, blank=True, editable=False)
    minute = models.PositiveBigIntegerField(default=0, editable=False)
    taken = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                condition=~Q(registration="registered") | ~Q(registered_id=""),
                name="registered_tab_has_an_id",
            ),
            models.CheckConstraint(condition=~Q(token_digest=""), name="hosted_tab_has_a_token"),
        )

    def __str__(self) -> str:
        return f"Tab of {self.credentials_id}"


class TabTicket(TenantModel):
    """A view of a tab that may be asked for once more, once; the ticket that names it is signed and stored nowhere."""

    tab = models.ForeignKey(HostedTab, on_delete=models.CASCADE, related_name="tickets", editable=False)
    until = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=["tab", "until"], name="tab_ticket_by_end"),)

    def __str__(self) -> str:
        return f"Until {self.until:%H:%M:%S}"
