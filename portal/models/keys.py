"""How the portal notices that it was started with the wrong encryption keys."""

from __future__ import annotations

from django.db import models

from portal.encryption import EncryptedJSONField


class KeyCheck(models.Model):
    """One row with a known value, encrypted: if it cannot be read, no secret can."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    known = EncryptedJSONField(editable=False)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="only_one_key_check"),)

    def __str__(self) -> str:
        return "Key check"
