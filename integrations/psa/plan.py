"""What we would write, item by item, before and after, before anything is written (asked above the port)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Request:
    """The wire form of one write. `path` is relative to the PSA's API root. Private to the adapter that made it."""

    method: Literal["POST", "PATCH", "PUT", "DELETE"]
    path: str
    body: Any

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "body": self.body}


@dataclass(frozen=True, kw_only=True)
class PlanItem:
    """One intended write: which record, which fields, before and after (JSON values only), and why."""

    key: str
    action: Literal["create", "update", "note", "delete"]
    record: str
    record_id: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str
    request: Request

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "action": self.action,
            "record": self.record,
            "record_id": self.record_id,
            "before": dict(self.before),
            "after": dict(self.after),
            "reason": self.reason,
            "request": self.request.as_json(),
        }


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something planning noticed that a person may have to decide: `code` is stable, `text` is a sentence."""

    key: str
    code: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"key": self.key, "code": self.code, "text": self.text, "advice": self.advice}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All intended writes about one subject. Planning reads, it never writes; an empty plan means nothing to do.

    `unchanged` names the keys that already are as wanted; `found` is what the PSA says of the subject now.
    """

    subject: str
    items: tuple[PlanItem, ...] = ()
    unchanged: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        subject: str,
        outcomes: Iterable[PlanItem | Finding | str],
        found: Mapping[str, Any] | None = None,
    ) -> Plan:
        """Sorts what came of planning: something to write, something to tell, or a key that is as wanted."""
        every = tuple(outcomes)
        return cls(
            subject=subject,
            items=tuple(one for one in every if isinstance(one, PlanItem)),
            unchanged=tuple(one for one in every if isinstance(one, str)),
            findings=tuple(one for one in every if isinstance(one, Finding)),
            found=found or {},
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "items": [item.as_json() for item in self.items],
            "unchanged": list(self.unchanged),
            "findings": [finding.as_json() for finding in self.findings],
            "found": dict(self.found),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the exact writes: what was approved can be compared with what is about to be sent."""
        exact = [item.as_json() for item in self.items]
        return hashlib.sha256(json.dumps(exact, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class AppliedItem:
    """One write that was carried out: the record's id and the fields as the PSA answered them."""

    key: str
    action: str
    record_id: str
    answer: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What came of a plan that was carried out in full."""

    items: tuple[AppliedItem, ...] = ()
