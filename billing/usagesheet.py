"""Usage from a CSV file (asked by the Usage page and REST): the same words as `POST /usage`, line by line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from billing import usage
from billing.models import Service
from billing.sheets import Problem, Sheet
from billing.usage import Measured
from portal import access, clients, texts

COLUMNS = ("client", "account", "service", "quantity", "measured_on", "source")
NEEDED = ("client", "service", "quantity", "measured_on")
AT_ONCE = 1000


@dataclass
class Imported:
    """What a file did: lines taken, quantities that were new or changed, and what was wrong with the others."""

    lines: int = 0
    changed: int = 0
    problems: list[Problem] = field(default_factory=list)


def take_in(
    content: bytes,
    actor: access.Actor,
    *,
    quantity_of: Callable[..., Decimal],
    day_of: Callable[..., date],
) -> Imported:
    """Good lines are stored, also when others are wrong; repeating a file changes nothing. Raises Unreadable."""
    found = Imported()
    lines = list(Sheet.of(content, needed=NEEDED, known=COLUMNS).lines(found.problems))
    known = clients.find_clients((line["client"] for line in lines), actor)
    services = {key.casefold(): row for row in Service.objects.all() for key in (row.key, row.name)}
    words = []
    for line in lines:
        errors: list[texts.FieldError] = []
        client = known.get(line["client"])
        service = services.get(line["service"].casefold())
        if client is None:
            text = f"No client “{texts.shown(line['client'])}” is known."
            errors.append(texts.FieldError("client", "unknown_client", text))
        if service is None:
            text = f"No service “{texts.shown(line['service'])}” is known."
            errors.append(texts.FieldError("service", "unknown_service", text))
        word = {
            "quantity": quantity_of(dict(line), errors),
            "measured_on": day_of(dict(line), errors),
            "account": texts.text_of(line, "account", 100, errors),
            "source": texts.text_of(line, "source", 100, errors) or "CSV file",
        }
        if errors or client is None or service is None:
            found.problems += [Problem(line.number, error.field, error.detail) for error in errors]
        else:
            words.append(Measured(client=client, service=service, **word))  # type: ignore[arg-type]
    for start in range(0, len(words), AT_ONCE):
        found.changed += usage.record(words[start : start + AT_ONCE])
    found.lines = len(words)
    return found
