"""Following tickets in the PSA: switched on and off, read again, polled (asked by pages and the worker).

Callbacks are quick and get lost; the poll is slow and finds everything. Both do the same: read tickets as they are now
and hand them to whoever keeps tickets (`TICKET_FOLLOWER`). Nothing here writes tickets at the PSA.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils.module_loading import import_string

from integrations import connections
from integrations.models import Credentials, Following
from integrations.psa.errors import NotFound, PsaError, Unsettled
from integrations.psa.kinds import KINDS
from integrations.psa.port import Psa, TicketState
from portal import background, clock
from portal.encryption import DecryptionFailed

logger = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=2)
"""What was changed at a moment may become visible a little later."""
FIRST_LOOK_BACK = timedelta(days=1)
UNSEEN_FOR = timedelta(hours=6)
LOOKED_AT_ONCE = 200
"""As many ids as both PSAs take in one call."""
BELIEVABLY_GONE = 5
ASKED_ONE_BY_ONE = 50
LEASE = timedelta(minutes=3)


class Follower(Protocol):
    """What the room that keeps tickets does with what is learned of them. Network is not used inside."""

    prefix: str
    """What our keys on PSA records begin with."""

    def known(self, credentials: Credentials, ids: Collection[str]) -> set[str]:
        """Which of these PSA tickets are ours."""

    def unseen(self, credentials: Credentials, since: datetime, most: int) -> list[str]:
        """Tickets that are open with us and were not seen at the PSA since then, those longest unseen first."""

    def moved_companies(
        self, credentials: Credentials, clients: Collection[uuid.UUID]
    ) -> dict[uuid.UUID, str]:
        """Clients with an open ticket that somebody gave to another PSA company, which is named by its id."""

    def settle_company(self, credentials: Credentials, client: uuid.UUID, company: str) -> None:
        """A person has decided about the client's tickets at this company: nobody is asked about them any more."""

    def note(self, credentials: Credentials, states: Sequence[TicketState], gone: Collection[str]) -> int:
        """Keep how these tickets are now, and which are not there any more. Returns how many of them somebody else
        had changed without our knowing. Called inside a transaction; harmless to repeat."""


def follower() -> Follower:
    """The room above registers by name, so that imports go one way only."""
    found: Follower = import_string(settings.TICKET_FOLLOWER)()
    return found


# --- On and off -------------------------------------------------------------------------------------------------------


def switch_on(credentials: Credentials) -> Following:
    """Follow the tickets of this connection: poll, and ask the PSA to call us. Harmless to repeat."""
    with transaction.atomic():
        row = Following.objects.select_for_update().filter(credentials=credentials).first()
        row = row or new_following(credentials)
        row.is_enabled, row.check_due_at = True, clock.now()
        row.save(update_fields=["is_enabled", "check_due_at"])
        background.enqueue("integrations.jobs.register_callback", str(credentials.pk))
        background.enqueue("integrations.jobs.poll_changes", str(credentials.pk))
    return row


def switch_off(credentials: Credentials) -> None:
    """Stop following. The registration at the PSA is taken away, as soon as the PSA can be reached."""
    with transaction.atomic():
        Following.objects.filter(credentials=credentials).update(is_enabled=False, check_due_at=clock.now())
        background.enqueue("integrations.jobs.register_callback", str(credentials.pk))


def ask_for_check(credentials: Credentials) -> None:
    """Compare the registration with the PSA, and poll, now."""
    Following.objects.filter(credentials=credentials).update(check_due_at=clock.now(), poll_tried_at=None)
    background.enqueue("integrations.jobs.register_callback", str(credentials.pk))
    background.enqueue("integrations.jobs.poll_changes", str(credentials.pk))


def renew_key(credentials: Credentials) -> None:
    """A new key for the PSA's signatures; the old one is accepted until calls that are on their way have come."""
    with transaction.atomic():
        row: Any = Following.objects.select_for_update().get(credentials=credentials)
        wrapped = unwrapped(row, row.secret)
        row.secret = {**wrapped, "keys": [new_key(), *wrapped["keys"]][:2]}
        row.renew_asked_at, row.renewed_at = clock.now(), None
        row.check_due_at = clock.now()
        row.save(update_fields=["secret", "renew_asked_at", "renewed_at", "check_due_at"])
        background.enqueue("integrations.jobs.register_callback", str(credentials.pk))


def new_following(credentials: Credentials) -> Following:
    token = secrets.token_urlsafe(32)
    row: Any = Following(
        partner_id=credentials.partner_id, credentials=credentials, token_digest=digest_of(token)
    )
    row.secret = {"id": str(row.pk), "token": token, "keys": [new_key()]}
    row.save()
    made: Following = row
    return made


def new_key() -> str:
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def unwrapped(row: Following, wrapped: Any) -> dict[str, Any]:
    """A secret of this row. Raises DecryptionFailed for one of another row."""
    if not wrapped or wrapped["id"] != str(row.pk):
        raise DecryptionFailed("A stored secret does not belong to this connection.")
    found: dict[str, Any] = wrapped
    return found


def public_address(row: Following) -> str:
    """Where the PSA reaches us. Whoever has it can send hints, if he can also sign them."""
    return f"{settings.PORTAL_URL}/hooks/{unwrapped(row, row.secret)['token']}/"


# --- One at a time ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lease(row: Following, name: str) -> Iterator[bool]:
    """Whether we are the only ones who do this for the connection now. A holder that died is waited for, three
    minutes at most."""
    field, now = f"{name}_until", clock.now()
    is_free = Q(**{field: None}) | Q(**{f"{field}__lt": now})
    mine = now + LEASE
    won = Following.objects.filter(is_free, pk=row.pk).update(**{field: mine})
    try:
        yield bool(won)
    finally:
        if won:
            Following.objects.filter(pk=row.pk, **{field: mine}).update(**{field: None})


# --- Reading tickets again --------------------------------------------------------------------------------------------


def look_again(
    psa: Psa, ids: Sequence[str], *, told_deleted: Collection[str] = ()
) -> tuple[list[TicketState], list[str]]:
    """How these tickets are now, and which are gone: one call, and one for each that was not among the answers.

    An API user whose rights were cut sees fewer tickets, without being told. So when many are missing at once, and the
    PSA did not say that they were deleted, nothing is concluded: raises `Unsettled`. After fifty the rest is left to
    the next look.
    """
    states = psa.tickets_by_id(ids)
    missing = sorted(set(ids) - {state.id for state in states})
    unexplained = [key for key in missing if key not in told_deleted]
    if len(unexplained) > max(BELIEVABLY_GONE, len(ids) // 2):
        raise Unsettled(
            f"{len(unexplained)} of {len(ids)} tickets are not shown by the PSA any more, all at once.",
            advice="Perhaps the API user may not see them any more: check its role. If they were deleted, all is well.",
        )
    gone = []
    for key in missing[:ASKED_ONE_BY_ONE]:
        try:
            states.append(psa.ticket(key))
        except NotFound:
            gone.append(key)
    return states, gone


def keep(
    row: Following, states: Sequence[TicketState], gone: Collection[str], *, by: str, **also: Any
) -> int:
    """Hand over what was read, and count what was news; `also` are fields of the row that belong with it."""
    with transaction.atomic():
        news = follower().note(row.credentials, states, gone)
        Following.objects.filter(pk=row.pk).update(**{f"found_by_{by}": F(f"found_by_{by}") + news, **also})
    return news


# --- The poll ---------------------------------------------------------------------------------------------------------


def due(now: datetime) -> list[uuid.UUID]:
    """Connections whose poll is due, by credentials."""
    last = now - timedelta(seconds=settings.FOLLOW_EVERY)
    rows = Following.objects.filter(is_enabled=True, credentials__kind__in=KINDS).filter(
        Q(poll_tried_at=None) | Q(poll_tried_at__lte=last)
    )
    return list(rows.values_list("credentials_id", flat=True))


def poll(credentials: Credentials) -> int | None:
    """Find what callbacks missed; returns how much that was, None when it was not the time.

    Costs one call for what changed (a PSA's page holds 500 or 1000 tickets), and one for tickets that were not seen for
    hours, which finds the deleted ones. How far it has read is kept with what was read: whoever is killed in between
    reads the same once more.
    """
    row = Following.objects.select_related("credentials__lane").filter(credentials=credentials).first()
    if row is None or not row.is_enabled or row.credentials.lane.breaker:
        return None
    with lease(row, "polling") as is_mine:
        if not is_mine:
            return None
        Following.objects.filter(pk=row.pk).update(poll_tried_at=clock.now())
        try:
            news = poll_now(row)
        except PsaError as error:
            Following.objects.filter(pk=row.pk).update(poll_problem=f"{error.text} {error.advice}".strip())
            raise
    return news


def poll_now(row: Following) -> int:
    started = clock.now()
    since = (row.changed_until or started - FIRST_LOOK_BACK) - OVERLAP
    keeper = follower()
    with connections.psa_for(row.credentials) as psa:
        changed = psa.changed_tickets(keeper.prefix, since)
        until = max(
            [at for at in [row.changed_until, *(state.changed_at for state in changed)] if at], default=None
        )
        news = keep(row, changed, (), by="poll", changed_until=until)
        unseen = keeper.unseen(row.credentials, started - UNSEEN_FOR, LOOKED_AT_ONCE)
        if unseen:
            states, gone = look_again(psa, unseen)
            news += keep(row, states, gone, by="poll")
    Following.objects.filter(pk=row.pk).update(polled_at=started, poll_problem="")
    return news
