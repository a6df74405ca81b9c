"""The keys of machines: how they are made, found and noted (asked by the REST doors and `createtoken`)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from portal import clock, database
from portal.models import ApiToken, Partner, User

TOKEN_PREFIX = "psap_"  # noqa: S105 - a label, so that secret scanners know our tokens
SCOPES = (
    "events:write",
    "events:read",
    "usage:write",
    "usage:read",
    "clients:read",
    "clients:write",
    "deliveries:write",
    "rules:read",
    "rules:write",
    "connections:read",
    "connections:test",
    "connections:write",
    "billing:read",
    "billing:write",
    "billing:approve",
    "settings:read",
    "settings:write",
    "config:read",
    "config:write",
    "searches:write",
    "team:read",
    "team:write",
    "audit:read",
)
USED_EVERY = timedelta(minutes=1)


def issue_token(
    name: str,
    *,
    partner: Partner | None,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    by: User | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown once and stored nowhere. `partner` None makes it vendor-wide."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise ValueError(f"Unknown scope {unknown[0]!r}; the scopes are {', '.join(SCOPES)}.")
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        partner=partner,
        name=name,
        prefix=text[:12],
        digest=digest_of(text),
        scopes=list(scopes),
        expires_at=expires_at,
        created_by=by,
    )
    return token, text


def digest_of(text: str) -> str:
    """SHA-256 is enough for 256 random bits, and quick enough for every request."""
    return hashlib.sha256(text.encode()).hexdigest()


def find_token(text: str) -> ApiToken | None:
    if not text.startswith(TOKEN_PREFIX):
        return None
    found: list[ApiToken] = _by_digest(digest_of(text))
    token = found[0] if found else None
    if token is None or (token.expires_at and token.expires_at <= clock.now()):
        return None
    return token if token.partner is None or token.partner.is_active else None


_by_digest = database.Prepared(
    lambda digest: ApiToken.objects.select_related("partner").filter(digest=digest, revoked_at=None)
)


def revoke(token: ApiToken) -> None:
    """It is not accepted any more; when it was revoked first, stays."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now())


def note_use(token: ApiToken) -> None:
    """Remembers the last use, at most once a minute, so that reads stay reads."""
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
