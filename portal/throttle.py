"""May this be tried now, or was it tried too often? (asked wherever somebody enters something secret).

Wrong tries fill a bucket that leaks; from its brim on each further one closes the door for longer. The buckets are
rows, so all web processes share them and staff can empty one. A try is counted before it is looked at, and taken back
when it was right: a thousand at the same moment get no more than one after the other.

Nobody is locked out by strangers: what is strict is the pair of account and network address. The wide limit on an
account alone leaves out addresses from which its owner came before.
"""

from __future__ import annotations

import ipaddress
import math
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal import clock
from portal.models import SignIn, Tries


@dataclass(frozen=True)
class Limit:
    """`free` wrong tries; one is forgiven every `leak` seconds; then closed for `first` seconds, doubling to `most`."""

    free: int
    leak: int
    first: int = 60
    most: int = 900


LIMITS = {
    "password": Limit(free=5, leak=900),  # one account from one address
    "account": Limit(free=60, leak=60, most=300),  # one account from everywhere
    "address": Limit(free=60, leak=15),  # one address, all accounts
    "factor": Limit(free=5, leak=900),  # codes and passkeys after the password
    "confirm": Limit(free=5, leak=900),  # people who are signed in, asked again
    "reset": Limit(free=5, leak=720),  # mails to one account
    "reset address": Limit(free=20, leak=60),
    "token": Limit(free=100, leak=9),  # unknown tokens from one address
    "invitation": Limit(free=100, leak=60),  # sent by machines, to one partner's people
}
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True)
class Try:
    """One of the things that a try is counted for."""

    kind: str
    subject: str


def take(*tries: Try) -> int:
    """Count a try; the seconds to wait when it may not be made (then it is not counted)."""
    now = clock.now()
    with transaction.atomic():
        rows = [locked(one) for one in sorted(tries, key=lambda one: (one.kind, one.subject))]
        waits = [row.closed_until - now for row in rows if row.closed_until and row.closed_until > now]
        if waits:
            return max(1, math.ceil(max(waits).total_seconds()))
        for row in rows:
            fill(row)
    return 0


def locked(one: Try) -> Tries:
    rows = Tries.objects.select_for_update()
    found = rows.filter(kind=one.kind, subject=one.subject).first()
    if found is None:
        Tries.objects.bulk_create([Tries(kind=one.kind, subject=one.subject)], ignore_conflicts=True)
        found = rows.get(kind=one.kind, subject=one.subject)
    return found


def fill(row: Tries) -> None:
    """One more in the bucket, after what leaked since the last."""
    limit, now = LIMITS[row.kind], clock.now()
    leaked = int((now - row.tried_at).total_seconds() // limit.leak)
    row.count = max(row.count - leaked, 0) + 1
    row.tried_at = now
    over = row.count - limit.free
    row.closed_until = None
    if over >= 0:
        row.closed_until = now + timedelta(seconds=min(limit.first * 2 ** min(over, 20), limit.most))
    row.save()


def passed(*tries: Try) -> None:
    """It was right: the account's own bucket is empty again, the shared ones lose this one try only."""
    for one in tries:
        row = Tries.objects.filter(kind=one.kind, subject=one.subject)
        if one.kind in {"password", "factor", "confirm"}:
            row.delete()
        else:
            row.update(count=Greatest(F("count") - 1, 0), closed_until=None)


def is_closed(one: Try) -> int:
    """Seconds until this may be tried again, without counting."""
    until = (
        Tries.objects.filter(kind=one.kind, subject=one.subject)
        .values_list("closed_until", flat=True)
        .first()
    )
    return max(0, math.ceil((until - clock.now()).total_seconds())) if until else 0


def of_password(email: str, address: str) -> tuple[Try, ...]:
    """What a sign-in by password is counted for."""
    email = email.replace("\x00", "").strip().lower()[:254]
    tries = (Try("password", f"{email} {address}"), Try("address", address))
    known = SignIn.objects.filter(
        user__email__iexact=email, address=address, seen_at__gt=clock.now() - KNOWN_FOR
    )
    return tries if known.exists() else (*tries, Try("account", email))


def of_person(kind: str, person: uuid.UUID) -> Try:
    return Try(kind, str(person))


def forget() -> None:
    """Buckets that have run empty by themselves."""
    Tries.objects.filter(tried_at__lt=clock.now() - timedelta(days=2)).delete()


# --- Who asks, and how a no looks -------------------------------------------------------------------------------------


def address_of(request: HttpRequest) -> str:
    """The network address a request comes from; of IPv6 the first 64 bits, which is what one customer gets.

    Each of our own proxies (TRUSTED_PROXIES) adds one entry to X-Forwarded-For; what stands further left, anybody may
    have written.
    """
    entries = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies = settings.TRUSTED_PROXIES
    text = entries[-proxies] if 0 < proxies <= len(entries) else ""
    for candidate in (text, request.META.get("REMOTE_ADDR", "")):
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
        return str(address)
    return ""


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """The page that says when to come again; `Retry-After` says it to programs."""
    minutes = math.ceil(seconds / 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(seconds)
    return response
