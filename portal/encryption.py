"""How secrets lie in the database (asked by every model that keeps one).

A subclass of django-encrypted-model-fields' text field that removes its traps: input is never decrypted, a value that
cannot be decrypted raises instead of coming back as ciphertext, SQL expressions are passed through, and nothing but
`isnull` can be looked up. The value is wrapped with the id of its row, so a token moved to another row is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from cryptography.fernet import InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from encrypted_model_fields import fields as upstream


class DecryptionFailed(Exception):
    """A stored secret cannot be read with the keys of this deployment (FIELD_ENCRYPTION_KEYS)."""


def key_ring() -> MultiFernet:
    """All keys of the deployment, newest first: the first encrypts, all decrypt."""
    return MultiFernet([upstream.parse_key(key) for key in settings.FIELD_ENCRYPTION_KEY])


def fingerprint(secret: str) -> str:
    """A short keyed hash by which two secrets can be compared without being shown."""
    key = hashlib.sha256(settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, secret.encode(), hashlib.sha256).hexdigest()[:12]


def looks_encrypted(text: str) -> bool:
    """Whether somebody pasted one of our own ciphertexts (Fernet tokens begin with version byte 0x80)."""
    return text.strip().startswith("gAAAA")


class EncryptedJSONField(upstream.EncryptedTextField):
    """A JSON value encrypted at rest with the deployment's key ring."""

    def to_python(self, value: Any) -> Any:
        return value

    def from_db_value(self, value: str | None, expression: Any, connection: Any, *args: Any) -> Any:
        if value is None:
            return None
        try:
            return json.loads(key_ring().decrypt(value.encode()))
        except (InvalidToken, ValueError) as error:
            raise DecryptionFailed(
                "A stored secret cannot be decrypted: FIELD_ENCRYPTION_KEYS lacks the key it was written with."
            ) from error

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return key_ring().encrypt(json.dumps(value).encode()).decode()

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return self.get_db_prep_save(value, connection)

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: it cannot be searched.")
        return models.Field.get_lookup(self, lookup_name)

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return value
