"""How Autotask is spoken to: zone, sign-in, queries by POST, pages and refusals (asked by the rest of this package)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from integrations.psa.answers import Answer
from integrations.psa.autotask.filters import Condition, above, as_json
from integrations.psa.autotask.limits import RollingBudget, Threshold, Turns
from integrations.psa.autotask.refusals import by_sentence, refusal, told_errors
from integrations.psa.autotask.zones import ASK_AT_MOST_EVERY, KEPT_FOR, Zone, remembered, zone_of
from integrations.psa.errors import Misconfigured, NotFound, PsaError, SignInRefused, Unreachable
from integrations.psa.port import SignIn
from integrations.psa.transport import Method, Transport

VERSION = "V1.0"
PAGE_SIZE = 500  # the most Autotask gives at once; more is refused, not cut (seen)
MAX_PAGES = 600

Row = dict[str, Any]


def tracking_identifier(sign_in: SignIn) -> str:
    """The partner's own (custom) identifier when one was entered, else the one of this deployment."""
    return sign_in.login_company or sign_in.client_id


def headers_for(sign_in: SignIn) -> dict[str, str]:
    return {
        "UserName": sign_in.public_key,
        "Secret": sign_in.secret,
        "ApiIntegrationCode": tracking_identifier(sign_in),
        "Accept": "application/json",
    }


def secrets_of(sign_in: SignIn) -> tuple[str, ...]:
    return (sign_in.secret,)


class Rest:
    """Reads and writes below `{zone}/V1.0/`."""

    def __init__(self, sign_in: SignIn, transport: Transport) -> None:
        transport.speaking = (429, 500)
        self._user = sign_in.public_key
        self._transport = transport
        self._asked = transport.site
        self._fact = ("zone", transport.site, sign_in.public_key)
        self.shared = transport.shared
        self._turns = self.shared.turns or self.shared.common(("autotask", "turns"), Turns)
        self._budget = self.shared.budget or self.shared.common(("autotask", "budget"), RollingBudget)

    # --- The zone -----------------------------------------------------------------------------------------------

    def zone(self) -> Zone:
        """The kept one; asked for anew after half a day."""
        text = self.shared.facts.get(self._fact)
        kept = remembered(text, asked=self._asked, policy=self.shared.policy) if text else None
        if kept and kept.asked_at + KEPT_FOR > time.time():
            return kept
        return self.discover()

    def discover(self) -> Zone:
        """Ask where this API user lives. An unknown user is a 500 with a sentence (seen)."""
        self._transport.move_to(self._asked)
        self._budget.take("ZoneInformation", self._transport.importance)
        answer = self._transport.read(
            f"/atservicesrest/{VERSION}/zoneInformation", params={"user": self._user}
        )
        if answer.is_refusal:
            raise self._no_zone(answer)
        zone = zone_of(answer.data, asked=self._asked, policy=self.shared.policy, now=time.time())
        self.shared.facts[self._fact] = zone.as_text()
        return zone

    def _no_zone(self, answer: Answer) -> PsaError:
        if any("could not be determined" in text.lower() for text in told_errors(answer.refusal_data())):
            return SignInRefused(
                f"Autotask does not know an API user “{self._user}”.",
                advice="Enter the user name (key) of the API user as Autotask shows it, like an e-mail address.",
                status=answer.status,
            )
        if answer.status == 404 or (answer.is_html and answer.status < 500):
            return Misconfigured(
                "This site is not Autotask.",
                field="site_url",
                advice="Leave the site empty.",
                status=answer.status,
            )
        return refusal(answer, entity="ZoneInformation", is_write=False)

    # --- Reading ------------------------------------------------------------------------------------------------

    def get(self, entity: str, record_id: str) -> Row:
        """One record. A missing one is 404 or an empty item; both are seen."""
        item = self.ask(entity, f"/{entity}/{number(record_id)}").get("item")
        if not isinstance(item, dict) or item.get("id") is None:
            raise NotFound(f"Autotask has no record {record_id} in {entity}.", status=404)
        return item

    def ask(self, entity: str, path: str) -> Row:
        """GET of anything that is not a record: entity information, version, threshold."""
        data: Row = self._answer(
            entity, lambda url: self._transport.read(f"{url}{path}"), is_write=False
        ).data
        return data

    def first(
        self, entity: str, *conditions: Condition, fields: Sequence[str] = ("id",), most: int = 1
    ) -> list[Row]:
        """A few rows as they come (for probes)."""
        return _rows(self._page(entity, "/query", _query(entity, conditions, fields, most)))

    def all(self, entity: str, *conditions: Condition, fields: Sequence[str] = ()) -> list[Row]:
        """Every row, each once."""
        return list(self.each(entity, *conditions, fields=fields))

    def each(self, entity: str, *conditions: Condition, fields: Sequence[str] = ()) -> Iterator[Row]:
        """The same, page by page: the next is asked for when the last one was taken."""
        seen: set[Any] = set()
        for page in self._pages(entity, conditions, fields):
            for row in page:
                if row["id"] not in seen:
                    seen.add(row["id"])
                    yield row

    def _pages(
        self, entity: str, conditions: Sequence[Condition], fields: Sequence[str]
    ) -> Iterator[list[Row]]:
        """The next page is POSTed with the same body to the URL that Autotask names; where it names none although the
        page is full, or names a foreign one, ids lead on. Who has named pages of a list and names no more is at its
        end (documented); a full first page without a name may be of a service that never tells."""
        body = _query(entity, conditions, fields, PAGE_SIZE)
        path, last_id, seen = "/query", -1, {"/query"}
        for _ in range(MAX_PAGES):
            answer = self._page(entity, path, body)
            page = _rows(answer)
            yield page
            highest = max((_id_number(row) for row in page), default=0)
            following = self._next_path(entity, answer)
            if len(seen) > 1 and not _names_next(answer):
                return
            if following and following not in seen and page:
                path = following
                seen.add(following)
            elif not following and len(page) >= PAGE_SIZE and highest > last_id:
                path = "/query"
                body = _query(entity, [*conditions, above("id", highest)], fields, PAGE_SIZE)
            else:
                return
            last_id = max(last_id, highest)
        raise Unreachable(f"{self._transport.host} did not come to an end of the list of {entity}.")

    def _next_path(self, entity: str, answer: Row) -> str:
        details = answer.get("pageDetails")
        url = details.get("nextPageUrl") if isinstance(details, dict) else None
        if not isinstance(url, str) or not url:
            return ""
        root = f"{self._transport.site}/{VERSION}/{entity}/query/next"
        if not url.lower().startswith(root.lower()) or url[len(root) : len(root) + 1] not in ("", "/", "?"):
            return ""
        return f"/query/next{url[len(root) :]}"

    def _page(self, entity: str, path: str, body: Row) -> Row:
        def send(url: str) -> Answer:
            return self._transport.read(f"{url}/{entity}{path}", body=body)

        data: Row = self._answer(entity, send, is_write=False).data
        return data

    def threshold(self) -> Threshold:
        found = self.ask("ThresholdInformation", "/ThresholdInformation")
        return Threshold(
            used=whole(found.get("currentTimeframeRequestCount")),
            most=whole(found.get("externalRequestThreshold")),
            minutes=whole(found.get("requestThresholdTimeframe")),
        )

    # --- Writing ------------------------------------------------------------------------------------------------

    def write(
        self,
        method: Method,
        path: str,
        body: Any,
        *,
        entity: str,
        names_record: bool = True,
        before_send: Callable[[], None] | None = None,
    ) -> str:
        """The id of the record, all that a write answers. Adjustments answer none (`names_record` False).

        `before_send` is called when nothing but the first byte is left to do, after the caller's own hook agreed.
        """

        def send(url: str) -> Answer:
            with self._hooked(before_send):
                return self._transport.write(method, f"{url}{path}", body, identified_by="")

        data = self._answer(entity, send, is_write=True).data
        item_id = data.get("itemId") if isinstance(data, dict) else None
        if names_record and item_id in (None, "", 0):
            raise Unreachable("Autotask said yes, but not to which record.", outcome_unknown=True)
        return "" if item_id is None else str(item_id)

    @contextmanager
    def _hooked(self, more: Callable[[], None] | None) -> Iterator[None]:
        usual = self._transport.before_write

        def both() -> None:
            if usual:
                usual()
            if more:
                more()

        self._transport.before_write = both if more else usual
        try:
            yield
        finally:
            self._transport.before_write = usual

    def _answer(self, entity: str, send: Callable[[str], Answer], *, is_write: bool) -> Answer:
        """Send; when the sign-in is refused and the user lives in another zone by now, once more there."""
        zone = self.zone()
        answer = self._sent(zone, entity, send)
        if answer.status == 401 and (moved := self._moved_from(zone)):
            answer = self._sent(moved, entity, send)
        if answer.is_refusal:
            raise refusal(answer, entity=entity, is_write=is_write)
        if told := _errors_of(answer.data):
            raise by_sentence(told, status=answer.status, is_write=is_write)
        return answer

    def _sent(self, zone: Zone, entity: str, send: Callable[[str], Answer]) -> Answer:
        self._budget.take(entity, self._transport.importance)
        with self._turns.turn(entity):
            self._transport.move_to(zone.url)
            return send(f"/{VERSION}")

    def _moved_from(self, zone: Zone) -> Zone | None:
        if zone.asked_at + ASK_AT_MOST_EVERY > time.time():
            return None
        try:
            today = self.discover()
        except PsaError:
            return None
        return today if today.url != zone.url else None


def _query(entity: str, conditions: Sequence[Condition], fields: Sequence[str], most: int) -> Row:
    columns = {"includeFields": list(fields)} if fields else {}
    return {"maxRecords": most, **columns, "filter": as_json(entity, conditions)}


def _names_next(answer: Row) -> bool:
    details = answer.get("pageDetails")
    return not isinstance(details, dict) or details.get("nextPageUrl") is not None


def _errors_of(data: Any) -> list[str]:
    return told_errors({"errors": data.get("errors")}) if isinstance(data, dict) else []


def _rows(answer: Row) -> list[Row]:
    items = answer.get("items")
    rows = items if isinstance(items, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), (int, str))]


def _id_number(row: Row) -> int:
    return whole(row["id"])


def whole(value: Any) -> int:
    """A number that may come as text; what is none counts as 0."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def number(text: str, field: str = "id") -> int:
    """An id of Autotask, safe to stand in a path. 0 is one: the partner's own company."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Misconfigured(f"“{text[:40]}” is not an id of Autotask.", field=field)
    return int(text)


def id_of(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return str(value) if value not in (None, "") else None


def text_of(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def moment(text: str) -> datetime | None:
    """Autotask means UTC, with or without a Z, with any number of decimals."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
