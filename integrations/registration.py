"""Asking the PSA to call us: registered, compared, repaired, taken away (asked by the worker and the inbound door).

Writes only for a connection whose partner switched it on. Each round plans from what the PSA has now and writes the
rest, so it may be interrupted anywhere; what an unknown outcome doubled, the next round takes away.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from integrations import connections, following
from integrations.models import Credentials, Following
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.kinds import KINDS
from integrations.psa.plan import Plan
from integrations.psa.wanted import WantedCallback
from portal import chaos, clock

logger = logging.getLogger(__name__)

COMPARED_EVERY = timedelta(days=1)
SOON = timedelta(minutes=5)
NEEDS_A_PERSON = timedelta(hours=6)
MOST_ROUNDS = 6
OLD_KEY_KEPT = timedelta(minutes=10)
"""Calls that were signed before a key was changed are tried again for two minutes."""


def due(now: datetime) -> list[Credentials]:
    """Connections whose registration is to be compared now."""
    moved = Q(registration="registered") & ~Q(registered_site=F("credentials__site_url"))
    rows = Following.objects.filter(Q(check_due_at__lte=now) | moved, credentials__kind__in=KINDS)
    rows = rows.select_related("credentials__lane")
    return [row.credentials for row in rows.defer("credentials__secret")]


def ask_for_comparison(row: Following) -> None:
    """Something looks odd: compare soon, at most once a minute however often this is asked."""
    now = clock.now()
    Following.objects.filter(pk=row.pk).filter(
        Q(checked_at=None) | Q(checked_at__lt=now - timedelta(minutes=1))
    ).update(check_due_at=now)


def settle(credentials: Credentials) -> bool:
    """Make the PSA call us, or not any more; returns whether all is as wanted."""
    row = Following.objects.select_related("credentials__lane").filter(credentials=credentials).first()
    if row is None:
        return True
    with following.lease(row, "registering") as is_mine:
        if not is_mine:
            return False
        row.refresh_from_db()
        if row.credentials.lane.breaker:
            later(row, SOON)
            return False
        try:
            return settle_now(row)
        except PsaError as error:
            give_up_for_now(row, error)
            return False


def settle_now(row: Following) -> bool:
    if not row.is_enabled and row.registration == Following.Registration.NONE:
        later(row, None)
        return True
    wanted = wanted_callback(row)
    if row.is_enabled:
        require_public_address()
        intend(row)
    done: list[dict[str, object]] = []
    with connections.psa_for(row.credentials) as psa:
        for _ in range(MOST_ROUNDS):
            plan = psa.plan_callback(wanted)
            if not plan.items:
                break
            chaos.point("before-register")
            psa.apply(plan)
            chaos.point("registered")
            done += [
                {"action": item.action, "fields": sorted(item.after), "reason": item.reason}
                for item in plan.items
            ]
            wanted = WantedCallback(**{**vars(wanted), "renew": False})
        else:
            raise PsaError("The registration at the PSA does not come to an end.")
    settled(row, plan, done)
    return True


def intend(row: Following) -> None:
    """Before anything is sent: whoever is killed then, or switched off, still has something to take away."""
    if row.registration == Following.Registration.NONE:
        row.registration = Following.Registration.ASKED
        Following.objects.filter(pk=row.pk).update(registration=row.registration)


def wanted_callback(row: Following) -> WantedCallback:
    secret = following.unwrapped(row, row.secret)
    is_renewal = row.renew_asked_at is not None and row.renewed_at is None
    return WantedCallback(
        name=f"PSA Portal {settings.INSTALLATION[:20]} {row.pk.hex[-12:]}",
        state="present" if row.is_enabled else "absent",
        url=following.public_address(row),
        secret=secret["keys"][0],
        renew=is_renewal,
    )


def require_public_address() -> None:
    """A PSA calls https only; where the operator allows http to PSAs, it is a test network."""
    if not settings.PORTAL_URL.startswith("https://") and not settings.PSA_ALLOW_HTTP:
        raise Misconfigured(
            "This portal has no public https address that a PSA could call.",
            field="portal_url",
            advice="The operator has to set PORTAL_URL. Until then the poll finds all changes.",
        )


def settled(row: Following, plan: Plan, done: list[dict[str, object]]) -> None:
    now = clock.now()
    registered_id = str(plan.found.get("id") or "")
    row.registration = (
        Following.Registration.REGISTERED if row.is_enabled and registered_id else Following.Registration.NONE
    )
    if row.registered_id != registered_id:
        row.registered_id, row.registered_at = registered_id, now if registered_id else None
    row.registered_site = row.credentials.site_url if registered_id else ""
    row.problem = " ".join(finding.text for finding in plan.findings)
    row.advice, row.checked_at = "", now
    if done:
        row.written = done
    if row.renew_asked_at and row.renewed_at is None:
        row.renewed_at = now
    later(row, COMPARED_EVERY if row.is_enabled and not plan.findings else SOON if row.is_enabled else None)


def give_up_for_now(row: Following, error: PsaError) -> None:
    """Told on the connection's page; the poll finds all changes meanwhile."""
    logger.warning("Callbacks of %s could not be settled: %s", row.credentials_id, error.text)
    if row.registration != Following.Registration.REGISTERED:
        row.registration = Following.Registration.FAILED
    row.problem, row.advice = error.text, error.advice
    row.checked_at = clock.now()
    later(row, NEEDS_A_PERSON if error.needs_a_person or error.is_permanent else SOON)


def later(row: Following, pause: timedelta | None) -> None:
    """Keep what was learned. Who switched it on or off meanwhile has asked for a comparison, and gets it."""
    learned = {
        name: getattr(row, name)
        for name in (
            "registration",
            "registered_id",
            "registered_site",
            "registered_at",
            "checked_at",
            "problem",
            "advice",
            "written",
            "renewed_at",
        )
    }
    due_at = None if pause is None else clock.now() + pause
    same = Following.objects.filter(pk=row.pk, is_enabled=row.is_enabled, renew_asked_at=row.renew_asked_at)
    if not same.update(**learned, check_due_at=due_at):
        Following.objects.filter(pk=row.pk).update(
            **{**learned, "renewed_at": None}, check_due_at=clock.now()
        )
