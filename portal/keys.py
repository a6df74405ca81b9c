"""Are these the right encryption keys, and changing them (asked at start-up and by `manage.py rotatekeys`)."""

from __future__ import annotations

from collections.abc import Iterator

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models, transaction

from portal.encryption import DecryptionFailed, EncryptedJSONField, key_ring
from portal.models import KeyCheck

KNOWN = "PSA Portal can read its secrets"


def verify() -> None:
    """Raises DecryptionFailed when the keys of this process cannot read what is stored; stores the check at first."""
    row = KeyCheck.objects.filter(pk=1).first()
    if row is None:
        KeyCheck.objects.get_or_create(pk=1, defaults={"known": KNOWN})
    elif row.known != KNOWN:
        raise DecryptionFailed("The stored key check holds something else than it should.")


def rotate() -> int:
    """Write every stored secret anew with the first key; returns how many. May be interrupted and run again.

    The way: put the new key first in FIELD_ENCRYPTION_KEYS, restart, rotate, then drop the old key. The row that
    `verify` reads comes last: while anything else still needs the old key, a start without it is refused.
    """
    fields = sorted(encrypted_fields(), key=lambda found: found[0] is KeyCheck)
    factors = sum(1 for _ in rewritten_factors())
    return factors + sum(1 for model, field in fields for _ in rewritten(model, field))


def encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedJSONField):
                yield model, field.name


def rewritten(model: type[models.Model], field: str) -> Iterator[object]:
    """Each row in a transaction of its own, locked against a change meanwhile."""
    keys = model._base_manager.filter(**{f"{field}__isnull": False}).values_list("pk", flat=True)
    for key in list(keys):
        with transaction.atomic():
            row = model._base_manager.select_for_update().filter(pk=key).first()
            if row is None:
                continue
            model._base_manager.filter(pk=key).update(**{field: getattr(row, field)})
        yield key


def rewritten_factors() -> Iterator[object]:
    """Secrets of authenticator apps and recovery codes, which lie inside allauth's JSON."""
    for key in list(Authenticator.objects.values_list("pk", flat=True)):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=key).first()
            names = {"secret", "seed"} & set(row.data) if row else ()
            if row is None or not names:
                continue
            try:
                row.data |= {name: key_ring().rotate(row.data[name].encode()).decode() for name in names}
            except InvalidToken as error:
                raise DecryptionFailed(
                    "A second factor cannot be read: FIELD_ENCRYPTION_KEYS lacks the key it was written with."
                ) from error
            row.save(update_fields=["data"])
        yield key
