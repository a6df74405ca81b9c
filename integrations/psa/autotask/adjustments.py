"""The one write of contract billing, made so that a retry can never double it (asked when a plan is carried out).

Units of a service cannot be set, only changed: "from this day on so many more or fewer". Such an adjustment is not
idempotent, cannot be read back or deleted, and answers nothing. So the units are read once more immediately before it,
and nothing is sent when they are not what the plan was made for. What is on its way is noted on the shared connection
with the first byte; after an unknown outcome nothing more is sent for that service until the call can no longer be
carried out, and then only when the units tell what became of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.periods import FIELDS, Problem, period_of, units_from
from integrations.psa.autotask.rest import Rest
from integrations.psa.errors import PsaError, Unsettled
from integrations.psa.plan import AppliedItem, PlanItem

ABSENT = "absent"  # `before` of a service that the contract does not have yet
# A call may run for about five minutes before Autotask ends it (seen): until then it may still be carried out.
SETTLED_AFTER = 360.0
DOUBT_KEPT_FOR = 24 * 3600.0


class Adjustments:
    def __init__(self, rest: Rest, clock: Callable[[], float] = time.time) -> None:
        self._rest = rest
        self._clock = clock

    def adjust(self, item: PlanItem) -> AppliedItem:
        """One read, one write, one read. Sent only when the units are what the plan was made for."""
        body = item.request.body
        line_id, units = self._units_now(body)
        before, after = item.before["quantity"], item.after["quantity"]
        if units == after:
            self.settle(body)
            return _adjusted(item, line_id, after)
        if units != before:
            raise Unsettled(
                f"Autotask shows {units} units of this service, the plan was made for {before}; nothing was sent.",
                advice="It is planned anew by itself.",
            )
        if doubt := self.doubt(body):
            raise doubt
        self._send(item, before, after)
        return _adjusted(item, *self._proven(body, after))

    def _send(self, item: PlanItem, before: str, after: str) -> None:
        """From the first byte on there is a doubt; a clear answer ends it, no answer leaves it."""
        try:
            self._rest.write(
                item.request.method,
                item.request.path,
                item.request.body,
                entity="ContractServiceAdjustments",
                names_record=False,
                before_send=lambda: self._note_doubt(item.request.body, before, after),
            )
        except PsaError as error:
            if not error.outcome_unknown:
                self.settle(item.request.body)
            raise

    def _proven(self, body: Mapping[str, Any], after: str) -> tuple[str, str]:
        """The answer says nothing at all, so what the units say is what is kept."""
        try:
            line_id, units = self._units_now(body)
        except PsaError as error:
            error.outcome_unknown = True
            raise
        if units != after:
            unsettled = Unsettled(
                f"Autotask took the change and shows {units} units in place of {after}.",
                advice="Look at the service in the contract: somebody may have changed it at the same moment.",
            )
            unsettled.outcome_unknown = True
            raise unsettled
        self.settle(body)
        return line_id, units

    def _units_now(self, body: Mapping[str, Any]) -> tuple[str, str]:
        """The line and its units on the day of the change; "absent" when the contract does not have the service."""
        conditions = [filters.equals("contractID", body["contractID"])]
        if "contractServiceID" in body:
            conditions.append(filters.equals("contractServiceID", body["contractServiceID"]))
        else:
            conditions.append(filters.equals("serviceID", body["serviceID"]))
        rows = self._rest.all("ContractServiceUnits", *conditions, fields=FIELDS)
        periods = [period for row in rows if (period := period_of(row))]
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        if not periods:
            return str(body.get("contractServiceID", "")), "0" if "contractServiceID" in body else ABSENT
        units = units_from(periods, date.fromisoformat(body["effectiveDate"]), today)
        if isinstance(units, Problem):
            raise Unsettled(
                f"The service is not what it was when the plan was made: {units.text} Nothing was sent.",
                advice="It is planned anew by itself.",
            )
        return periods[0].line_id, str(units)

    # --- What is on its way -------------------------------------------------------------------------------------

    def doubt(self, body: Mapping[str, Any]) -> Unsettled | None:
        """Set while an earlier change of the same service may still be carried out."""
        kept = self.doubted(body)
        left = kept["at"] + SETTLED_AFTER - self._clock() if kept else 0.0
        if left <= 0:
            return None
        return Unsettled(
            f"An earlier change of this service got no answer and may still be carried out for {left:.0f} seconds.",
            advice="Nothing is sent until that is sure; then the units are read and planned anew by themselves.",
        )

    def doubted(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        text = self._rest.shared.facts.get(_doubt_key(body))
        try:
            kept: dict[str, Any] = json.loads(text) if text else {}
            is_recent = kept and kept["at"] + DOUBT_KEPT_FOR > self._clock()
        except (ValueError, KeyError, TypeError):
            return None
        return kept if is_recent else None

    def _note_doubt(self, body: Mapping[str, Any], before: str, after: str) -> None:
        kept = {"before": before, "after": after, "on": body["effectiveDate"], "at": self._clock()}
        self._rest.shared.facts[_doubt_key(body)] = json.dumps(kept)

    def settle(self, body: Mapping[str, Any]) -> None:
        self._rest.shared.facts.pop(_doubt_key(body), None)


def _doubt_key(body: Mapping[str, Any]) -> tuple[str, ...]:
    """By line, or by service while the contract does not have it yet."""
    which = (
        f"line {body['contractServiceID']}" if "contractServiceID" in body else f"service {body['serviceID']}"
    )
    return ("units", str(body["contractID"]), which)


def _adjusted(item: PlanItem, line_id: str, units: str) -> AppliedItem:
    answer = {"quantity": units, "effective_on": item.after.get("effective_on", "")}
    return AppliedItem(key=item.key, action=item.action, record_id=item.record_id or line_id, answer=answer)
