"""Who is signed in from where, and who tried too often."""

from __future__ import annotations

from django.db import models

from portal import clock
from portal.models.people import User
from portal.tenancy import Identified


class SignIn(Identified):
    """One browser in which a person is, or was, signed in. Without its session's row a browser is out.

    Rows that ended stay for a while: they say from which addresses the person came before.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True, null=True)
    began_at = models.DateTimeField(default=clock.now)
    seen_at = models.DateTimeField(default=clock.now)
    address = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=100, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-seen_at",)
        indexes = (models.Index(fields=["user", "-seen_at"], name="sign_ins_of_a_person"),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True) | models.Q(session_key__isnull=True),
                name="a_sign_in_that_ended_has_no_session",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.browser}"


class Tries(models.Model):
    """How often something secret was entered wrongly of late, by what the tries have in common.

    `kind` says what it is counted for (portal/throttle.py), `subject` is an e-mail address, a network address, both,
    or a person's id. Nothing is looked at before `closed_until`.
    """

    kind = models.CharField(max_length=20)
    subject = models.CharField(max_length=320)
    count = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(default=clock.now)
    closed_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "tries"
        ordering = ("-tried_at",)
        constraints = (
            models.UniqueConstraint(fields=["kind", "subject"], name="one_count_of_tries_per_subject"),
        )
        indexes = (models.Index(fields=["tried_at"], name="tries_by_age"),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"
