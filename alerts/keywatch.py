"""Does a condition key stay the same from run to run (asked by intake, the event type pages and a proof)?

A key with a time, a run's number or a random id in it makes a new condition of every event: nothing folds, nothing
recovers. A time is told at once. Ids, digests and large numbers may well be names of devices: they are suspected after
three events of one source, type and client whose keys differ in nothing else, unless keys come again.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from alerts import eventtypes
from alerts.models import Condition, KeyShape
from integrations.models import Event
from integrations.models.eventlog import EventAction
from portal import database
from portal.texts import FieldError

LONGEST = 300
ENOUGH = 3
KEPT = 5
SETTLED = 3
LARGE = 100
"""Smaller numbers are taken for names: SRV-01, SRV-02, SRV-03."""
STEP = 10
"""Numbers further apart are no counter but serial numbers."""
VOLATILE = re.compile(
    r"(?P<guid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|(?P<timestamp>(?:19|20)\d\d[-/.](?:0\d|1[0-2])[-/.](?:[0-2]\d|3[01])(?:[T _-]?\d\d[:.\-]?\d\d(?:[:.\-]?\d\d)?"
    r"(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|(?<!\d)20\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[T_-]?\d{4,6}(?!\d)"
    r"|(?<![0-9a-f])1[5-9]\d{8}(?:\d{3})?(?![0-9a-f]))"
    r"|(?P<hash>(?<![0-9a-z])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{12,}(?![0-9a-z]))"
    r"|(?P<number>(?<!\d)\d{3,18}(?!\d))",
    re.IGNORECASE,
)
WORDS = {
    "timestamp": "a time",
    "guid": "an id that is new each time",
    "hash": "a digest that is new each time",
    "number": "a counter",
}
Watched = tuple[uuid.UUID, str, str, str]


def without_account(key: str, account: str) -> str:
    """The key as people would write it. The account is a name, whatever it looks like."""
    text = key.replace(f":{eventtypes.unmistakable(account)}", ":{account}", 1) if account else key
    return unquote(text)[:LONGEST]


def shape_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """A key with its parts that look volatile replaced, and these parts as (kind, text)."""
    found: list[tuple[str, str]] = []

    def replaced(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        found.append((kind, match.group()))
        return f"{{{kind}}}"

    return VOLATILE.sub(replaced, text)[:LONGEST], found


def look(events: Sequence[Event]) -> dict[uuid.UUID, FieldError]:
    """Learn from the keys of a batch, inside its transaction; warnings by event.

    Four statements at most a batch that has such keys, none for others; a shape that is settled is not written.
    """
    shapes = {event.pk: shape_of(key_text(event)) for event in events if counts(event)}
    watched = [event for event in events if event.pk in shapes and shapes[event.pk][1]]
    if not watched:
        return {}
    rows, before = known(watched, shapes), known_before(watched)
    changed: dict[Watched, KeyShape] = {}
    warnings = {}
    for event in watched:
        where = place_of(event, shapes[event.pk][0])
        row = rows.setdefault(where, new_row(event, where[3]))
        if learn(row, event, came_again=(event.client_id, event.condition_key) in before):
            changed[where] = row
        if text := row.suspicion or timed(shapes[event.pk][1]):
            warnings[event.pk] = FieldError("condition_key", "volatile_key", warning_of(event, text))
    store(changed.values())
    return warnings


def key_text(event: Event) -> str:
    return without_account(event.condition_key, event.account_reference)


def counts(event: Event) -> bool:
    declared = eventtypes.catalogue().get(event.type)
    is_single = declared is not None and declared.each_is_its_own
    return bool(event.client_id and event.action != EventAction.NONE and not is_single)


def place_of(event: Event, shape: str) -> Watched:
    assert event.client_id is not None
    return (event.client_id, event.source, event.type, shape)


_rows = database.Prepared(
    lambda clients, shapes: (
        KeyShape.objects.select_for_update(no_key=True)
        .filter(client__in=clients, shape__in=shapes)
        .order_by("pk")
    )
)


def known(events: Iterable[Event], shapes: Mapping[uuid.UUID, tuple[str, object]]) -> dict[Watched, KeyShape]:
    places = [place_of(event, shapes[event.pk][0]) for event in events]
    rows = _rows(sorted({place[0] for place in places}), sorted({place[3] for place in places}))
    return {(row.client_id, row.source, row.type, row.shape): row for row in rows}


def known_before(events: Sequence[Event]) -> set[tuple[uuid.UUID | None, str]]:
    """Keys that somebody has sent before this batch: their condition's id, which tells its time, is older."""
    clients = sorted({event.client_id for event in events if event.client_id})
    began = int(min(event.received_at for event in events).timestamp() * 1000)
    found = _conditions(clients, sorted({event.condition_key for event in events}))
    return {(client, key) for client, key, pk in found if pk.int >> 80 < began}


_conditions = database.Prepared(
    lambda clients, keys: Condition.objects.filter(client__in=clients, key__in=keys).values_list(
        "client_id", "key", "pk"
    )
)


def new_row(event: Event, shape: str) -> KeyShape:
    assert event.partner_id is not None  # an event of a known client has both, see `counts`
    assert event.client_id is not None
    return KeyShape(
        partner_id=event.partner_id,
        client_id=event.client_id,
        source=event.source,
        type=event.type,
        shape=shape,
        first_at=event.received_at,
    )


def learn(row: KeyShape, event: Event, *, came_again: bool) -> bool:
    """Count a key; False when that says nothing new."""
    text = key_text(event)
    if came_again or text in row.keys:
        if row.repeats >= max(SETTLED, row.distinct):
            return False
        row.repeats += 1
    else:
        row.keys = [*row.keys, text][-KEPT:]
        row.distinct += 1
    row.last_at = event.received_at
    row.suspicion = suspicion_of(row)
    return True


def suspicion_of(row: KeyShape) -> str:
    """What seems to be in the key that should not be; empty while there is no reason to think so."""
    if row.distinct < ENOUGH or row.repeats * 2 >= row.distinct:
        return ""
    parts = [shape_of(text)[1] for text in row.keys[-ENOUGH:]]
    for position, (kind, _) in enumerate(parts[-1]):
        texts = [part[position][1] for part in parts if position < len(part)]
        if len(set(texts)) == ENOUGH and (kind != "number" or is_counter(texts)):
            return f"{WORDS[kind]} ({', '.join(texts)})"
    return ""


def is_counter(texts: Sequence[str]) -> bool:
    numbers = [int(text) for text in texts]
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    return numbers[0] >= LARGE and all(0 < step <= STEP for step in steps)


def timed(parts: Iterable[tuple[str, str]]) -> str:
    """A time needs no second look."""
    return next((f"{WORDS[kind]} ({text})" for kind, text in parts if kind == "timestamp"), "")


def warning_of(event: Event, what: str) -> str:
    return (
        f"The condition key “{event.condition_key[:100]}” seems to hold {what}: every event would be a problem of its"
        " own, which no recovery ends. Send a condition_key that stays the same, or have other fields declared for"
        f" {event.type}."
    )


def store(rows: Iterable[KeyShape]) -> None:
    """Somebody else may have made the same row at the same moment: then what he counted stands."""
    changed = sorted(rows, key=lambda row: row.shape)
    database.insert_new([row for row in changed if row._state.adding])
    database.save_all(
        [row for row in changed if not row._state.adding],
        ["keys", "distinct", "repeats", "suspicion", "last_at"],
    )
