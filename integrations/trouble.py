"""Who is told when a connection needs a person (asked by lanes and the worker).

A ticket cannot tell that tickets cannot be opened, so the partner's managers get one e-mail for each trouble. That they
are still to be told stands in the lane's row, written with the trouble itself: a mail server that is down, a worker
that is killed and a job that runs twice change nothing about it.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q

from integrations.models import Lane
from portal import background, clock
from portal.models import Role, User

TRYING_FOR = timedelta(minutes=2)
"""So long one worker may take to send; then another may try."""


def arise(lane: Lane) -> None:
    """There is something new to tell; the caller holds the lane's row and saves it."""
    lane.untold_since = clock.now()  # another moment than that of trouble which is just being told
    lane.telling_until = None
    background.enqueue("integrations.jobs.tell_partner", str(lane.pk))


def untold() -> list[uuid.UUID]:
    """Lanes whose partner has not been told yet, and nobody is just doing it."""
    return list(Lane.objects.filter(_nobody_tells(), untold_since__isnull=False).values_list("pk", flat=True))


def _nobody_tells() -> Q:
    return Q(telling_until=None) | Q(telling_until__lt=clock.now())


def tell(lane_id: uuid.UUID | str) -> bool:
    """Send the one e-mail; False when there is nothing to tell or another worker is at it.

    Raises what the mail server raises: the lane stays untold and the next look tries again. A worker that dies between
    the server's yes and our note of it is the one way to a second e-mail.
    """
    now = clock.now()
    mine = Lane.objects.filter(_nobody_tells(), pk=lane_id, untold_since__isnull=False)
    if not mine.update(telling_until=now + TRYING_FOR):
        return False
    lanes = Lane.objects.select_related("partner", "credentials").defer("credentials__secret")
    lane = lanes.get(pk=lane_id)  # also when the trouble is a secret that cannot be read
    message = message_about(lane)
    if message.to and message.body:
        message.send()
    return bool(_told(lane, lane.untold_since))


def _told(lane: Lane, since: datetime | None) -> int:
    return Lane.objects.filter(pk=lane.pk, untold_since=since).update(untold_since=None, telling_until=None)


def message_about(lane: Lane) -> EmailMessage:
    """What the partner's managers read; without a body when the trouble is over by now."""
    managers = User.objects.filter(
        memberships__partner=lane.partner, memberships__role=Role.SENIOR_MANAGER, is_active=True
    )
    blocked = [block["text"] for block in lane.blocked.values()]
    causes = [text for text in [lane.breaker_text, *blocked] if text]
    lines = [
        f"Since {lane.breaker_since or lane.untold_since:%Y-%m-%d %H:%M} UTC tickets and quantities wait:",
        *causes,
        f"See what to do: {settings.PORTAL_URL}",
        "Nothing is lost. Everything that waits goes out as soon as the connection works again.",
    ]
    return EmailMessage(
        subject=f"{lane.partner.name}: the connection to {lane.credentials.get_kind_display()} needs you",
        body="\n\n".join(lines) if causes else "",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=sorted(set(managers.values_list("email", flat=True))),
    )
