"""Secrets at rest: written with the newest key, read with any, never shown, never mistaken."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F, Value

from integrations import connections
from integrations.connections import Entered
from integrations.models import Credentials
from integrations.psa.errors import Misconfigured
from portal import clients, keys
from portal.encryption import DecryptionFailed
from tests import make

SECRET = "kept-between-us-0123"


@pytest.fixture
def stored(db: None) -> Credentials:
    entered = Entered(
        kind="connectwise",
        site_url="na.myconnectwise.net",
        login_company="cirrus",
        public_key="pub",
        secret=SECRET,
    )
    return connections.save_credentials(clients.top_level(make.partner()), entered, by=None)


def raw(row: Credentials) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM integrations_credentials")
        return str(cursor.fetchone()[0])


@pytest.mark.parity("S0-12")
def test_the_database_holds_no_plain_secret(stored: Credentials) -> None:
    assert SECRET not in raw(stored)
    assert connections.sign_in_of(Credentials.objects.get()).secret == SECRET
    assert SECRET not in repr(connections.sign_in_of(stored))


def test_a_wrong_key_raises_and_never_hands_out_ciphertext(stored: Credentials, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    with pytest.raises(DecryptionFailed, match="FIELD_ENCRYPTION_KEYS"):
        Credentials.objects.get()


def test_lists_of_credentials_work_without_any_key(stored: Credentials, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    assert [row.site_url for row in Credentials.objects.defer("secret")] == [
        "https://api-na.myconnectwise.net"
    ]


def test_a_token_copied_to_another_row_is_refused(stored: Credentials) -> None:
    other = connections.save_credentials(
        clients.top_level(make.partner()),
        Entered(
            kind="connectwise",
            site_url="na.myconnectwise.net",
            login_company="c",
            public_key="p",
            secret="x" * 16,
        ),
        by=None,
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_credentials SET secret = %s", [raw(stored)])
    with pytest.raises(DecryptionFailed, match="does not belong"):
        connections.sign_in_of(Credentials.objects.get(pk=other.pk))


@pytest.mark.parametrize("how", ["save", "update", "bulk_update", "expression"])
def test_every_way_of_writing_keeps_the_value(stored: Credentials, how: str) -> None:
    value = {"id": str(stored.pk), "secret": "changed"}
    stored.secret = value  # type: ignore[assignment]
    if how == "save":
        stored.save()
    elif how == "update":
        Credentials.objects.update(secret=value)
    elif how == "bulk_update":
        Credentials.objects.bulk_update([stored], ["secret"])
    else:
        stored.save()
        Credentials.objects.update(secret=F("secret"))
    assert Credentials.objects.get().secret == value


def test_a_secret_cannot_be_searched(stored: Credentials) -> None:
    for lookup in ("secret", "secret__contains", "secret__gt"):
        with pytest.raises(FieldError, match="encrypted"):
            Credentials.objects.filter(**{lookup: SECRET}).exists()
    assert Credentials.objects.filter(secret__isnull=False).exists()


@pytest.mark.parametrize("typed", ["gAAAAABm" + "x" * 80, "in ner", "zero\u200bwidth", "tab\tkey"])
def test_a_key_that_cannot_be_right_is_refused_with_a_sentence(stored: Credentials, typed: str) -> None:
    entered = Entered(
        kind="connectwise", site_url=stored.site_url, login_company="cirrus", public_key="pub", secret=typed
    )
    with pytest.raises(Misconfigured) as refusal:
        connections.save_credentials(stored.organization, entered, by=None, current=stored)
    assert refusal.value.field == "secret"
    assert connections.sign_in_of(Credentials.objects.get()).secret == SECRET


def test_a_changed_site_asks_for_the_secret_again(stored: Credentials) -> None:
    entered = Entered(
        kind="connectwise", site_url="eu.myconnectwise.net", login_company="cirrus", public_key="pub"
    )
    with pytest.raises(Misconfigured, match="typed again"):
        connections.save_credentials(stored.organization, entered, by=None, current=stored)


def test_keys_are_rotated_without_losing_a_secret(stored: Credentials, settings: Any, capsys: Any) -> None:
    keys.verify()
    [old] = settings.FIELD_ENCRYPTION_KEY
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEY = [new, old]
    call_command("rotatekeys")
    assert "2 secrets" in capsys.readouterr().out
    settings.FIELD_ENCRYPTION_KEY = [new]
    assert connections.sign_in_of(Credentials.objects.get()).secret == SECRET
    keys.verify()
    settings.FIELD_ENCRYPTION_KEY = [old]
    with pytest.raises(DecryptionFailed):
        keys.verify()
    with pytest.raises(CommandError, match="FIELD_ENCRYPTION_KEYS"):
        call_command("rotatekeys")


def test_a_plain_value_expression_is_encrypted_or_refused(stored: Credentials) -> None:
    before = raw(stored)
    Credentials.objects.filter(pk=stored.pk).update(secret=Value(before))
    assert connections.sign_in_of(Credentials.objects.get()).secret == SECRET


def test_a_rotation_that_was_cut_off_is_noticed_when_the_old_key_is_dropped(
    stored: Credentials, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.verify()
    newest = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEY = [newest, *settings.FIELD_ENCRYPTION_KEY]
    whole = keys.rewritten

    def cut_off(model: Any, field: str) -> Any:
        if model is Credentials:
            raise KeyboardInterrupt
        return whole(model, field)

    monkeypatch.setattr(keys, "rewritten", cut_off)
    with pytest.raises(KeyboardInterrupt):
        keys.rotate()
    settings.FIELD_ENCRYPTION_KEY = [newest]
    with pytest.raises(DecryptionFailed):
        keys.verify()
