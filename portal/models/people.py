"""People who sign in, what they are to a partner, and the tokens of machines."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower

from portal import clock
from portal.models.partners import Partner
from portal.tenancy import Identified, TenantModel


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(AbstractUser, Identified):
    """A person. Vendor staff have `is_staff`; everybody else sees the partners they are a member of."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        constraints = (models.UniqueConstraint(Lower("email"), name="one_user_per_address"),)

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    @cached_property
    def standings(self) -> list[Membership]:
        """What this person is to which active partners, with these; asked once a request."""
        return list(self.memberships.filter(partner__is_active=True).select_related("partner"))

    @cached_property
    def partner_ids(self) -> frozenset[uuid.UUID]:
        """Partners this person belongs to in any role."""
        return frozenset(row.partner_id for row in self.standings)

    @cached_property
    def managed_partner_ids(self) -> frozenset[uuid.UUID]:
        """Partners this person may set up."""
        return frozenset(row.partner_id for row in self.standings if row.role == Role.SENIOR_MANAGER)


class Role(models.TextChoices):
    """What a person is to a partner."""

    SENIOR_MANAGER = "partner_senior_manager", "Partner Senior Manager"
    VIEWER = "partner_viewer", "Partner Viewer"


class Membership(TenantModel):
    """One person's role at one partner."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=30, choices=Role, default=Role.VIEWER)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["user", "partner"], name="one_membership_per_partner"),
        )

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"


class ApiToken(Identified):
    """A machine's key to the REST API. Only its SHA-256 is stored; `partner` null means vendor-wide."""

    is_api_token: ClassVar[bool] = True
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True

    partner = models.ForeignKey(
        Partner, null=True, blank=True, on_delete=models.CASCADE, related_name="tokens"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    requests_a_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How many requests it may send in a minute; empty: the installation's limit.",
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
