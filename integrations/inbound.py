"""A PSA calls us: is it really that PSA, is it news, and what is to be read again (asked by the hook and the worker).

Nothing of a call is believed. Its signature is checked over the bytes as they came; then it is a hint, stored in one
insert and answered. Reading the ticket is work for later.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from integrations import connections, following, registration
from integrations.models import Credentials, Following, InboundMessage
from integrations.psa.callbacks import CallbackDialect, Malformed, Message
from integrations.psa.errors import PsaError
from integrations.psa.kinds import KINDS
from integrations.psa.transport import SharedConnection
from portal import background, chaos, clock, database

logger = logging.getLogger(__name__)

LARGEST = 512 * 1024
"""A ticket's longest texts, with every letter escaped, are about 250 KB."""
KEPT = timedelta(days=3)
"""No PSA tries a call for longer than minutes."""
KEY_KEPT = timedelta(hours=24)
KEY_ASKED_EVERY = timedelta(minutes=1)
MOST_KEYS = 3
AT_ONCE = following.ASKED_ONE_BY_ONE
WOKEN_FOR = timedelta(seconds=30)

ACCEPTED, REFUSED, NOBODY, TOO_LARGE, LATER = 200, 401, 404, 413, 429


# --- At the door ------------------------------------------------------------------------------------------------------


def receive(token: str, headers: Mapping[str, str], body: bytes) -> int:
    """The HTTP status to answer. Two or three statements, no network.

    A token that nobody has costs as much as one with a wrong signature. 429 means that the key of the signature is
    being asked for: the PSA tries again in two seconds.
    """
    if len(body) > LARGEST:
        return TOO_LARGE
    row = following_of(token)
    if row is None:
        hmac.new(following.digest_of(token).encode(), body, hashlib.sha256).digest()
        return NOBODY
    dialect = KINDS[row.credentials.kind].callbacks
    signature = headers.get(dialect.header, "")
    checks = [dialect.is_signed(signature, body, key) for key in keys_of(row, dialect)]
    if not any(checks):
        return not_signed(row, dialect, signature, body)
    try:
        message = dialect.message(body, clock.now())
    except Malformed as error:
        logger.warning("A signed call of %s cannot be used: %s", row.credentials_id, error)
        registration.ask_for_comparison(row)
        return ACCEPTED
    if is_news(message):
        take(row, message)
    return ACCEPTED


def switched_off(token: str) -> int:
    """The PSA says, perhaps without a signature, that it calls us no more. That is a reason to look, nothing else."""
    row = following_of(token)
    if row is None:
        return NOBODY
    registration.ask_for_comparison(row)
    return ACCEPTED


def following_of(token: str) -> Following | None:
    """Looked up by digest, so that how long it takes says nothing about the token."""
    rows = Following.objects.filter(token_digest=following.digest_of(token), is_enabled=True)
    row = rows.select_related("credentials").defer("credentials__secret").first()
    return row if row is not None and row.credentials.kind in KINDS else None


def is_news(message: Message) -> bool:
    """Of what we follow, and not older than what we keep: such a one cannot be told from a repetition."""
    is_old = message.occurred_at is not None and message.occurred_at < clock.now() - KEPT
    return bool(message.record) and not is_old


def take(row: Following, message: Message) -> None:
    """One insert. A repetition is refused by a constraint, and nothing more happens."""
    now = clock.now()
    hint = InboundMessage(
        partner_id=row.partner_id,
        credentials_id=row.credentials_id,
        source_id=message.source_id,
        record=message.record,
        record_id=message.record_id,
        action=message.action,
        occurred_at=message.occurred_at,
        received_at=now,
        due_at=now,
    )
    with database.writing():
        if not database.insert_new([hint]):
            return
        Following.objects.filter(pk=row.pk).update(callbacks=F("callbacks") + 1, callback_at=now)
        wake(row)
        chaos.point("before-inbound-commit")
    chaos.point("inbound-taken")


def wake(row: Following) -> None:
    """Let the worker take it in at once; a burst wakes it once. Who sleeps through it is woken each minute."""
    now = clock.now()
    asleep = Q(woken_at=None) | Q(woken_at__lt=now - WOKEN_FOR)
    if Following.objects.filter(asleep, pk=row.pk).update(woken_at=now):
        background.enqueue("integrations.jobs.take_in", str(row.credentials_id))


# --- Signatures -------------------------------------------------------------------------------------------------------


def keys_of(row: Following, dialect: CallbackDialect) -> list[str]:
    """The keys that a signature may be made with now."""
    if dialect.fetch_key is None:
        keys: list[str] = following.unwrapped(row, row.secret)["keys"]
        return keys if old_key_counts(row) else keys[:1]
    return [known["key"] for known in fetched_keys(row)]


def old_key_counts(row: Following) -> bool:
    """Until the PSA has the new key, and a little longer for calls that are on their way."""
    if row.renew_asked_at is None:
        return False
    return row.renewed_at is None or clock.now() < row.renewed_at + registration.OLD_KEY_KEPT


def fetched_keys(row: Following) -> list[dict[str, Any]]:
    """The PSA's own keys that are fresh and come from the site of today."""
    wrapped: Any = row.signing_keys
    if not wrapped:
        return []
    oldest = clock.now() - KEY_KEPT
    return [
        known
        for known in following.unwrapped(row, wrapped)["keys"]
        if known["site"] == row.credentials.site_url and datetime.fromisoformat(known["at"]) > oldest
    ]


def not_signed(row: Following, dialect: CallbackDialect, signature: str, body: bytes) -> int:
    """Refused, unless its key may be one that we have not seen: that is then asked for, once a minute at most."""
    if not signature:
        return refuse(row, "without a signature")
    if dialect.key_url is None:
        return refuse(row, "the signature is wrong")
    try:
        url = dialect.key_url(body, row.credentials.site_url)
    except Malformed:
        return refuse(row, "the signature is wrong")
    if not url:
        return refuse(row, "its key lies elsewhere than at the site of the credentials")
    now = clock.now()
    if row.key_asked_at is not None and row.key_asked_at > now - KEY_ASKED_EVERY:
        is_on_its_way = bool(row.key_url)
        return LATER if is_on_its_way else refuse(row, "the signature is wrong")
    may_ask = Q(key_asked_at=None) | Q(key_asked_at__lte=now - KEY_ASKED_EVERY)
    if Following.objects.filter(may_ask, pk=row.pk).update(key_asked_at=now, key_url=url):
        background.enqueue("integrations.jobs.fetch_key", str(row.credentials_id))
    return LATER


def refuse(row: Following, because: str) -> int:
    logger.warning("A call in the name of the PSA of %s was refused: %s", row.credentials_id, because)
    Following.objects.filter(pk=row.pk).update(
        refused=F("refused") + 1, refused_at=clock.now(), refused_because=because
    )
    return REFUSED


def fetch_key(credentials: Credentials) -> bool:
    """Read the key that a call named, at the stored site only; returns whether there is one."""
    row = Following.objects.select_related("credentials").filter(credentials=credentials).first()
    if row is None or not row.key_url or not row.is_enabled:
        return False
    dialect = KINDS[row.credentials.kind].callbacks
    if dialect.fetch_key is None:
        return False
    shared = SharedConnection(connections.policy(), pool_size=1)
    try:
        key = dialect.fetch_key(row.key_url, row.credentials.site_url, shared)
    except PsaError as error:
        logger.warning("The key of callbacks of %s could not be read: %s", row.credentials_id, error.text)
        Following.objects.filter(pk=row.pk, key_url=row.key_url).update(key_url="")
        return False
    finally:
        shared.close()
    keep_key(row, key)
    return True


def keep_key(row: Following, key: str) -> None:
    """One key for each address, the newest three."""
    with transaction.atomic():
        rows = Following.objects.select_for_update(of=("self",)).select_related("credentials")
        fresh: Any = rows.get(pk=row.pk)
        if fresh.credentials.site_url != row.credentials.site_url:
            return
        known = [one for one in fetched_keys(fresh) if one["url"] != row.key_url]
        new = {
            "url": row.key_url,
            "site": row.credentials.site_url,
            "key": key,
            "at": clock.now().isoformat(),
        }
        fresh.signing_keys = {"id": str(fresh.pk), "keys": [new, *known][:MOST_KEYS]}
        fresh.key_url = ""
        fresh.save(update_fields=["signing_keys", "key_url"])


# --- Taking in (in the worker) ----------------------------------------------------------------------------------------


def waiting(credentials: Credentials) -> Any:
    return InboundMessage.objects.filter(
        credentials=credentials, status=InboundMessage.Status.WAITING, due_at__lte=clock.now()
    )


def take_in(credentials: Credentials) -> int:
    """Read the tickets that waiting hints name, and hand them over; returns how many hints were settled.

    Many hints about one ticket are one read, many tickets are one call. May run twice or beside itself.
    """
    row = Following.objects.select_related("credentials__lane").filter(credentials=credentials).first()
    if row is None or row.credentials.lane.breaker:
        return 0
    Following.objects.filter(pk=row.pk).update(woken_at=None)
    settled = 0
    while waiting(credentials).exists():
        with following.lease(row, "taking") as is_mine:
            if not is_mine:
                break  # whoever has it looks once more before it ends
            settled += take_some(row)
    return settled


def take_some(row: Following) -> int:
    hints = list(waiting(row.credentials).order_by("received_at", "id")[:AT_ONCE])
    ours = following.follower().known(row.credentials, {hint.record_id for hint in hints})
    settle_all([hint for hint in hints if hint.record_id not in ours], "Not a ticket of ours.")
    followed = [hint for hint in hints if hint.record_id in ours]
    if not followed:
        return len(hints)
    deleted = {hint.record_id for hint in followed if hint.action.startswith("delete")}
    try:
        with connections.psa_for(row.credentials) as psa:
            states, gone = following.look_again(psa, sorted(ours), told_deleted=deleted)
    except PsaError as error:
        return len(hints) - len(followed) + postpone(followed, error)
    chaos.point("inbound-read")
    following.keep(row, states, gone, by="callback")
    settle_all(followed, "Read again.")
    return len(hints)


def settle_all(hints: Sequence[InboundMessage], outcome: str) -> None:
    InboundMessage.objects.filter(
        pk__in=[hint.pk for hint in hints], status=InboundMessage.Status.WAITING
    ).update(status=InboundMessage.Status.DONE, settled_at=clock.now(), outcome=outcome)


def postpone(hints: Sequence[InboundMessage], error: PsaError) -> int:
    """The PSA did not answer: later, by the usual pauses; what was tried often enough is left to the poll.

    Returns how many were given up."""
    pauses, now = settings.RETRY_DELAYS, clock.now()
    for hint in hints:
        hint.attempts += 1
        hint.outcome = error.text[:300]
        if hint.attempts > len(pauses):
            hint.status, hint.settled_at = InboundMessage.Status.FAILED, now
        else:
            hint.due_at = now + clock.spread(pauses[hint.attempts - 1])
    database.save_all(hints, ["attempts", "outcome", "status", "settled_at", "due_at"])
    return sum(hint.status == InboundMessage.Status.FAILED for hint in hints)


def unattended(now: datetime) -> list[Any]:
    """Connections with hints that wait although somebody should have taken them in (a process was killed)."""
    rows = InboundMessage.objects.filter(status=InboundMessage.Status.WAITING, due_at__lte=now)
    return list(rows.values_list("credentials_id", flat=True).distinct())


def forget_old() -> None:
    """Older calls are refused as repetitions by their own time."""
    InboundMessage.objects.filter(received_at__lt=clock.now() - KEPT - timedelta(days=1)).delete()
