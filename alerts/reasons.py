"""Why there is no ticket just now (said by noise and its parts)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from alerts.models.noise import HoldKind


@dataclass(frozen=True)
class Reason:
    """What holds back, in words, with the row that said so and when to look again; `parent` is a condition's id."""

    kind: HoldKind
    text: str
    rule_id: uuid.UUID | None = None
    rule_name: str = ""
    until: datetime | None = None
    parent: uuid.UUID | None = None
    storm: uuid.UUID | None = None
