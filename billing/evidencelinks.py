"""Addresses at which an end customer sees one evidence pack without a login (asked by pages).

The address carries a signed id, so that guesses are refused without looking; the row says until when it holds, whether
it was revoked, and how often it was opened this minute.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.core import signing
from django.db.models import F, QuerySet

from billing.decisions import Decider, Refused
from billing.models import EvidencePack, PackLink
from portal import clock

SALT = "billing.evidence"
DAYS = (7, 30, 90, 365)
OPENED_A_MINUTE = 30
MOST_LINKS = 50


def make(pack: EvidencePack, *, days: int, by: Decider) -> PackLink:
    """Raises Refused."""
    if days not in DAYS:
        raise Refused("unknown_days", f"A link holds {', '.join(map(str, DAYS))} days.")
    if standing(pack).count() >= MOST_LINKS:
        raise Refused("too_many_links", f"This pack has {MOST_LINKS} links already; revoke some first.")
    return PackLink.objects.create(
        partner_id=pack.partner_id,
        pack=pack,
        made_by=by.user,
        made_as=by.name,
        expires_at=clock.now() + timedelta(days=days),
    )


def standing(pack: EvidencePack) -> QuerySet[PackLink]:
    rows = PackLink.objects.filter(pack=pack, revoked_at=None, expires_at__gt=clock.now())
    return rows.order_by("-made_at", "-pk")


def revoke(link: PackLink, *, by: Decider) -> bool:
    """False when it was revoked already."""
    rows = PackLink.objects.filter(pk=link.pk, revoked_at=None)
    return bool(rows.update(revoked_at=clock.now(), revoked_as=by.name))


def token_of(link: PackLink) -> str:
    return signing.Signer(salt=SALT).sign(link.pk.hex)


def find(token: str) -> PackLink | None:
    """The link that stands and holds now; None for all else, without saying which."""
    try:
        key = uuid.UUID(hex=signing.Signer(salt=SALT).unsign(token))
    except (signing.BadSignature, ValueError):
        return None
    rows = PackLink.objects.filter(
        pk=key, revoked_at=None, partner__is_active=True, expires_at__gt=clock.now()
    )
    return rows.select_related("pack__client", "pack__partner").first()


def count(link: PackLink) -> bool:
    """Note one more opening; False when it was opened too often this minute. Over all processes."""
    now = clock.now()
    minute = int(now.timestamp() // 60)
    rows = PackLink.objects.filter(pk=link.pk)
    rows.exclude(minute=minute).update(minute=minute, opened_in_minute=0)
    rows = rows.filter(minute=minute, opened_in_minute__lt=OPENED_A_MINUTE)
    return bool(
        rows.update(opened_in_minute=F("opened_in_minute") + 1, opened=F("opened") + 1, opened_at=now)
    )
