"""What the database and the PSAs say after a chaos run, and the story of one condition for a person to follow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from alerts.models import Condition, Ticket
from alerts.proving.chaos_client import Planned, condition_of
from alerts.proving.chaos_psa import SandboxPsa, seconds
from alerts.proving.checker import (
    Histories,
    Key,
    Sent,
    StoredCondition,
    StoredDelivery,
    StoredEvent,
    StoredTicket,
)
from integrations.models import Delivery, Event

Line = tuple[float, str]


def read(sent: Sequence[Sent], psas: Sequence[SandboxPsa]) -> Histories:
    """All three histories."""
    return Histories(
        sent=sent,
        events=[
            StoredEvent(str(pk), source_id, Key(client, key))
            for pk, source_id, client, key in Event.objects.values_list(
                "pk", "source_id", "client_reference", "condition_key"
            )
        ],
        conditions=[stored_condition(row) for row in Condition.objects.select_related("client")],
        tickets=[stored_ticket(row) for row in Ticket.objects.all()],
        deliveries=[
            StoredDelivery(str(pk), subject.removeprefix("ticket:"), status, text)
            for pk, subject, status, text in Delivery.objects.values_list(
                "pk", "subject", "status", "outcome"
            )
        ],
        psa_tickets=[ticket for psa in psas for ticket in psa.tickets()],
    )


def stored_condition(row: Condition) -> StoredCondition:
    return StoredCondition(
        id=str(row.pk),
        condition=Key(str(row.client.number), row.key),
        is_failing=row.state == Condition.State.FAILING,
        wants_ticket=row.wants_ticket,
        decided_by=str(row.decided_by),
    )


def stored_ticket(row: Ticket) -> StoredTicket:
    return StoredTicket(
        condition=str(row.condition_id),
        generation=row.generation,
        ref=row.external_ref,
        psa_id=row.psa_id,
        is_open=row.closed_at is None,
        opened_at=row.opened_at.timestamp() if row.opened_at else None,
        closed_at=row.closed_at.timestamp() if row.closed_at else None,
    )


# --- The story of one condition --------------------------------------------------------------------------------------


def story(
    condition: Key, planned: Iterable[Planned], told: Iterable[Mapping[str, Any]], psas: Sequence[SandboxPsa]
) -> list[str]:
    """All that anybody knows of a condition, by time."""
    bodies = {event.body["id"]: event.body for event in planned if condition_of(event.body) == condition}
    row = Condition.objects.filter(client__number=int(condition.client), key=condition.key).first()
    lines = [*told_lines(bodies, told)]
    if row is not None:
        rows = list(Ticket.objects.filter(condition=row).order_by("generation"))
        lines += [*event_lines(condition), *delivery_lines(row), *ticket_lines(rows), *psa_lines(rows, psas)]
    return [f"  {moment(at)}  {text}" for at, text in sorted(lines)]


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def told_lines(bodies: Mapping[str, Any], told: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    for line in told:
        if line["id"] in bodies:
            answer = line.get("failure") or line.get("event")
            yield (
                line["at"],
                f"client    {line['id']} {bodies[line['id']]['type']}: {line['status']} {answer}",
            )


def event_lines(condition: Key) -> Iterator[Line]:
    for event in Event.objects.filter(client_reference=condition.client, condition_key=condition.key):
        steps = ", ".join(step["transition"] for step in event.trace if step.get("transition"))
        text = f"database  event {event.source_id} {event.action} of {event.occurred_at:%H:%M:%S}: {steps}"
        yield event.received_at.timestamp(), text


def delivery_lines(row: Condition) -> Iterator[Line]:
    for delivery in Delivery.objects.filter(subject=f"ticket:{row.pk}").order_by("pk"):
        name = f"delivery  …{str(delivery.pk)[-6:]}"
        yield delivery.created_at.timestamp(), f"{name} created"
        at = delivery.finished_at or delivery.started_at or delivery.created_at
        text = f"{delivery.status} {delivery.reason} after {delivery.attempts} attempts: {delivery.outcome}"
        yield at.timestamp(), f"{name} {text}"


def ticket_lines(rows: Iterable[Ticket]) -> Iterator[Line]:
    for row in rows:
        yield row.created_at.timestamp(), f"row       {row.external_ref} made"
        for word, at in (("opened", row.opened_at), ("closed", row.closed_at)):
            if at is not None:
                yield (
                    at.timestamp(),
                    f"row       {row.external_ref} {word}, {row.state}, ticket {row.psa_id or 'none'}",
                )


def psa_lines(rows: Sequence[Ticket], psas: Sequence[SandboxPsa]) -> Iterator[Line]:
    """Every request that carries one of the keys, or that is about a ticket that does."""
    refs = {row.external_ref for row in rows}
    for psa in psas:
        ids = {ticket.id for ticket in psa.tickets() if ticket.ref in refs}
        for call in psa.requests() if ids or rows else ():
            text = json.dumps([call["query"], call["body"]])
            if not (any(ref in text for ref in refs) or call["path"].rsplit("/", 1)[-1] in ids):
                continue
            what = f"{call['method']} {call['path'].partition('/apis/3.0')[2]}"
            how = f"{call['status']} {call['fault'] or ''}{' committed' if call['committed'] else ''}"
            yield seconds(call["time"]), f"PSA       {what}: {how} in {call['seconds'] or 0:.3f} s"
        for ticket in psa.tickets():
            if ticket.ref in refs:
                word = "open" if ticket.is_open else "swept" if ticket.is_swept else "closed"
                yield ticket.created_at, f"PSA       ticket {ticket.id} {ticket.ref} committed; now {word}"
