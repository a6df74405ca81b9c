"""The grammar of Advanced Search: field, operator, term (asked by the event log's page, REST and saved searches).

Operators: `=`, `!=`, `LIKE`, `NOT LIKE`, `<`, `>`, `IN`, `IS EMPTY`. In a LIKE term `?` is any one character and `*`
any number, so `LIKE ?*` finds whatever is not empty. Capitals do not matter. A field of the notifications that were
processed is a list, one entry a delivery: it is met when one entry meets it, and `!=`, `NOT LIKE` and `IS EMPTY` when
none does.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from integrations.models import Action, Delivery, Event, Status
from integrations.models.eventlog import EventAction, Severity
from portal import texts, wildcards
from portal.models.partners import client_number_of

MOST_CONDITIONS = 10
MOST_LETTERS = 300
MOST_TERMS = 200
"""So many values an IN list may have."""

EQUAL, UNEQUAL, LIKE, UNLIKE, LESS, MORE, IN, EMPTY = OPERATORS = (
    "=",
    "!=",
    "LIKE",
    "NOT LIKE",
    "<",
    ">",
    "IN",
    "IS EMPTY",
)
NEGATIVE = {UNEQUAL: EQUAL, UNLIKE: LIKE}
TEXT_OPERATORS = (EQUAL, UNEQUAL, LIKE, UNLIKE, IN, EMPTY)
WORD_OPERATORS = (EQUAL, UNEQUAL, IN)
TIME_OPERATORS = (LESS, MORE, EQUAL)
NUMBER_OPERATORS = (EQUAL, UNEQUAL, LESS, MORE, IN, EMPTY)

FORMER_WORDS = {
    "sign_in_refused": "Username or password is incorrect",
    "not_permitted": "You do not have permission",
    "management_id": "Management ID error",
}
"""What former systems' error lists said, by our kind of error: searching for the old sentence finds ours."""


class NotUnderstood(Exception):
    """A condition that cannot be searched for. `place` counts from 0; `part` is `field`, `operator` or `term`."""

    def __init__(self, text: str, *, part: str, place: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.part = part
        self.place = place


@dataclass(frozen=True)
class Condition:
    """One line of a search, as it was typed."""

    field: str
    operator: str
    term: str = ""

    def as_json(self) -> dict[str, str]:
        return {"field": self.field, "operator": self.operator, "term": self.term}

    def __str__(self) -> str:
        name = FIELDS[self.field].label if self.field in FIELDS else self.field
        return f"{name} {self.operator} {self.term}".rstrip()


@dataclass(frozen=True)
class Field:
    """Something that can be searched for. `column` is of the event, or with `of_delivery` of its deliveries."""

    label: str
    column: str
    operators: Sequence[str]
    read: Callable[[Field, str, str], Q]
    of_delivery: bool = False
    words: Sequence[str] = ()
    help: str = ""


def meaning(condition: Condition, place: int = 0) -> Q:
    """What a condition asks of an event. Raises NotUnderstood with a sentence that says what to type instead."""
    field = FIELDS.get(condition.field)
    if field is None:
        known = ", ".join(FIELDS)
        raise NotUnderstood(
            f"There is no field “{condition.field}”. Fields: {known}.", part="field", place=place
        )
    operator = " ".join(condition.operator.upper().split())
    if operator not in field.operators:
        raise NotUnderstood(
            f"{field.label} cannot be compared with “{condition.operator}”; use {', '.join(field.operators)}.",
            part="operator",
            place=place,
        )
    term = condition.term.strip()
    if not term and operator != EMPTY:
        raise NotUnderstood("Type what to look for.", part="term", place=place)
    if len(term) > MOST_LETTERS and operator != IN:
        raise NotUnderstood(f"At most {MOST_LETTERS} characters.", part="term", place=place)
    if problem := texts.unstorable(term):
        raise NotUnderstood(f"The term holds {problem}; remove it.", part="term", place=place)
    try:
        found = field.read(field, NEGATIVE.get(operator, operator), term)
    except NotUnderstood as error:
        raise NotUnderstood(error.text, part="term", place=place) from None
    if field.of_delivery:
        found = Q(Exists(Delivery.objects.filter(found, event=OuterRef("pk"))))
        return ~found if operator in NEGATIVE or operator == EMPTY else found
    return ~found if operator in NEGATIVE else found


def all_of(conditions: Sequence[Condition]) -> Q:
    """What all of these ask together. Raises NotUnderstood with the place of the first that cannot be read."""
    if len(conditions) > MOST_CONDITIONS:
        raise NotUnderstood(f"At most {MOST_CONDITIONS} conditions.", part="field", place=len(conditions) - 1)
    found = Q()
    for place, condition in enumerate(conditions):
        found &= meaning(condition, place)
    return found


LINE = re.compile(r"\s*(\w+)\s*(!=|=|<|>|NOT\s+LIKE|LIKE|IN|IS\s+EMPTY)\s*(.*)", re.IGNORECASE | re.DOTALL)


def parse(line: str, place: int = 0) -> Condition:
    """`error_list LIKE ?*` as a condition. Raises NotUnderstood when it is not field, operator, term."""
    found = LINE.fullmatch(line)
    if found is None:
        raise NotUnderstood(
            f"“{line[:100]}” is not a field, an operator and a term, like “error_list LIKE ?*”.",
            part="field",
            place=place,
        )
    return Condition(found[1].lower(), found[2].upper(), found[3])


# --- How each kind of field reads its term ----------------------------------------------------------------------------


def text(field: Field, operator: str, term: str) -> Q:
    if operator == EMPTY:
        # Of deliveries: “some entry is not empty”, which the caller turns round.
        return ~Q(**{field.column: ""}) if field.of_delivery else Q(**{field.column: ""})
    if operator == IN:
        found = Q()
        for one in listed(term):
            found |= Q(**{f"{field.column}__iexact": one})
        return found
    lookup = "wildcards" if operator == LIKE else "iexact"
    return Q(**{f"{field.column}__{lookup}": term})


def error_list(field: Field, operator: str, term: str) -> Q:
    """As text; sentences of former systems find the errors that are called otherwise here."""
    found = text(field, operator, term)
    if operator == LIKE and term.strip("?*"):
        for kind, words in FORMER_WORDS.items():
            if wildcards.matches(term, words):
                found |= Q(error_kind=kind)
    return found


def client_name(field: Field, operator: str, term: str) -> Q:
    """As text; an event whose client is not known is found by the name it gave."""
    if operator == EMPTY:
        return Q(client=None)
    given = Field(field.label, "client_reference", field.operators, text)
    return Q(text(field, operator, term), client__isnull=False) | Q(text(given, operator, term), client=None)


def word(field: Field, operator: str, term: str) -> Q:
    asked = listed(term) if operator == IN else [term]
    values: dict[str, None] = {}
    for one in asked:
        value = next((known for known in field.words if known.casefold() == one.casefold()), None)
        if value is None:
            raise NotUnderstood(f"“{one}” is none of {', '.join(field.words)}.", part="term")
        values[value] = None
    return Q(**{f"{field.column}__in": list(values)})


def client_number(field: Field, operator: str, term: str) -> Q:
    if operator == EMPTY:
        return Q(client=None)
    numbers = []
    for one in listed(term) if operator == IN else [term]:
        number = client_number_of(one)
        if number is None:
            raise NotUnderstood(f"“{one}” is no client id; type it like 19652 or EFS-19652.", part="term")
        numbers.append(number)
    if operator in (LESS, MORE):
        return Q(**{f"{field.column}__{'lt' if operator == LESS else 'gt'}": numbers[0]})
    return Q(**{f"{field.column}__in": numbers})


def identifier(field: Field, operator: str, term: str) -> Q:
    keys = []
    for one in listed(term) if operator == IN else [term]:
        try:
            keys.append(uuid.UUID(one))
        except ValueError:
            raise NotUnderstood(f"“{one}” is no id of ours.", part="term") from None
    return Q(**{f"{field.column}__in": keys})


def moment(field: Field, operator: str, term: str) -> Q:
    """`2026-11-20` is that day in the page's time zone, `2026-11-20 14:05` that minute; before, after, or within it."""
    begin, end = span(term, timezone.get_current_timezone())
    if operator == LESS:
        return Q(**{f"{field.column}__lt": begin})
    if operator == MORE:
        return Q(**{f"{field.column}__gte": end})
    return Q(**{f"{field.column}__gte": begin, f"{field.column}__lt": end})


def span(term: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """From when until when (aware, UTC) a typed day or minute lasts."""
    try:
        day, at = parse_date(term), parse_datetime(term)
    except ValueError as error:
        raise NotUnderstood(f"“{term}”: {error}.", part="term") from None
    try:
        if day is not None and len(term) <= len("2026-11-20"):
            return midnight(day, zone), midnight(day + timedelta(days=1), zone)
        if at is not None:
            begin = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
            return begin, begin + (timedelta(seconds=1) if at.second else timedelta(minutes=1))
    except OverflowError:
        raise NotUnderstood(f"“{term}” is too far away.", part="term") from None
    raise NotUnderstood(f"“{term}” is no date; type it like 2026-11-20 or 2026-11-20 14:05.", part="term")


def midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def listed(term: str) -> list[str]:
    """The values of an IN list, separated by commas."""
    values = [one.strip() for one in term.split(",") if one.strip()]
    if not values or len(values) > MOST_TERMS:
        raise NotUnderstood(f"Type 1 to {MOST_TERMS} values, with commas between them.", part="term")
    return values


# --- The fields -------------------------------------------------------------------------------------------------------

FIELDS: Mapping[str, Field] = {
    "event_information": Field("Event Information", "summary", TEXT_OPERATORS, text),
    "event_type": Field("Event Type", "type", TEXT_OPERATORS, text),
    "severity": Field("Severity", "severity", WORD_OPERATORS, word, words=Severity.values),
    "client": Field("Client", "client__name", TEXT_OPERATORS, client_name),
    "client_id": Field(
        "Client Id", "client__number", NUMBER_OPERATORS, client_number, help="19652 or EFS-19652"
    ),
    "account": Field("Account", "account_reference", TEXT_OPERATORS, text),
    "source": Field("Source", "source", TEXT_OPERATORS, text),
    "source_id": Field("Source’s Id", "source_id", TEXT_OPERATORS, text),
    "event_id": Field("Event Id", "pk", (EQUAL, IN), identifier),
    "condition": Field("Condition", "condition_key", TEXT_OPERATORS, text),
    "event_action": Field("What It Does", "action", WORD_OPERATORS, word, words=EventAction.values),
    "state": Field("State", "state", WORD_OPERATORS, word, words=Event.State.values),
    "received": Field(
        "Received", "received_at", TIME_OPERATORS, moment, help="2026-11-20 or 2026-11-20 14:05"
    ),
    "occurred": Field(
        "Occurred", "occurred_at", TIME_OPERATORS, moment, help="2026-11-20 or 2026-11-20 14:05"
    ),
    "notification": Field("Notification", "notification_name", TEXT_OPERATORS, text, of_delivery=True),
    "notification_action": Field(
        "Notification Action", "action", WORD_OPERATORS, word, of_delivery=True, words=Action.values
    ),
    "notification_status": Field(
        "Notification Status", "status", WORD_OPERATORS, word, of_delivery=True, words=Status.values
    ),
    "notification_outcome": Field("Notification Outcome", "outcome", TEXT_OPERATORS, text, of_delivery=True),
    "error_list": Field(
        "Notification Processed Error List", "error_text", TEXT_OPERATORS, error_list, of_delivery=True
    ),
    "error_kind": Field("Notification Error Kind", "error_kind", TEXT_OPERATORS, text, of_delivery=True),
}
"""By the word that addresses and REST use. `label` is what people read."""

WITH_ERRORS = Condition("error_list", LIKE, "?*")
