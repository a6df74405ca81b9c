"""How ConnectWise is spoken to: sign-in, codebase, pages and refusals (asked by the other modules of this package)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from integrations.psa.answers import Answer
from integrations.psa.connectwise.refusals import SITE_ADVICE, is_lost_route, refusal
from integrations.psa.errors import Misconfigured, SignInRefused, Unreachable
from integrations.psa.port import SignIn
from integrations.psa.transport import Method, Transport

VERSION = "2026.4"
PAGE_SIZE = 1000  # the most ConnectWise gives at once (Developer Guide, Pagination)
MAX_PAGES = 300

Row = dict[str, Any]
_CODEBASE = re.compile(r"v\d+_\w{1,30}")
# Works on every server, whatever discovery says (Developer Guide; the server URL of the 2026.4 document).
_USUAL_CODEBASE = "v4_6_release"
_FORWARD_ONLY = {"pagination-type": "forward-only"}


def headers_for(sign_in: SignIn) -> dict[str, str]:
    """What every call carries. The version is pinned: without it an upgrade of the PSA changes our answers."""
    return {
        "Authorization": f"Basic {_basic(sign_in)}",
        "Accept": f"application/vnd.connectwise.com+json; version={VERSION}",
        **({"clientId": sign_in.client_id} if sign_in.client_id else {}),
    }


def secrets_of(sign_in: SignIn) -> tuple[str, ...]:
    return (sign_in.secret, _basic(sign_in))


def _basic(sign_in: SignIn) -> str:
    pair = f"{sign_in.login_company}+{sign_in.public_key}:{sign_in.secret}"
    return base64.b64encode(pair.encode()).decode()


class Rest:
    """Reads and writes below `{site}/{codebase}/apis/3.0/`."""

    def __init__(self, sign_in: SignIn, transport: Transport, codebase: str | None) -> None:
        self._company = sign_in.login_company
        self._transport = transport
        self._fact = ("codebase", transport.site, sign_in.login_company)
        if codebase:
            transport.shared.facts[self._fact] = codebase.strip("/")

    @property
    def site(self) -> str:
        return self._transport.site

    def discover(self) -> str:
        """Ask which codebase this company runs. Needs no sign-in; an unknown company is 200 with `null`."""
        answer = self._transport.read(f"/login/companyinfo/{quote(self._company, safe='')}", shape="any")
        if answer.is_refusal and answer.status != 404:
            raise refusal(answer, method="GET", path="/login/companyinfo")
        if answer.is_refusal and answer.is_html:
            raise Misconfigured("This site is not a ConnectWise PSA.", field="site_url", advice=SITE_ADVICE)
        if not isinstance(answer.data, dict):
            raise SignInRefused(
                f"ConnectWise does not know the login company “{self._company}”.",
                advice="Enter the company as on ConnectWise's sign-in page; upper and lower case matter.",
                status=answer.status,
            )
        return self._remember(answer.data)

    def _remember(self, info: Row) -> str:
        codebase = str(info.get("Codebase") or "").strip("/")
        codebase = codebase if _CODEBASE.fullmatch(codebase) else _USUAL_CODEBASE
        self._transport.shared.facts[self._fact] = codebase
        return codebase

    def get(self, path: str, **params: str | int) -> Row:
        data: Row = self._answer("GET", path, lambda url: self._transport.read(url, params=params)).data
        return data

    def first(self, path: str, **params: str | int) -> list[Row]:
        """One page as it comes (for probes and short lists)."""
        return self._page(path, params, {})

    def all(self, path: str, **params: str | int) -> list[Row]:
        """Every row, each once, by forward-only pages; in numbered ones where the PSA does not know those."""
        return list(self.each(path, **params))

    def each(self, path: str, **params: str | int) -> Iterator[Row]:
        """The same, page by page: the next is asked for when the last one was taken."""
        seen: set[Any] = set()
        for page in self._pages(path, params):
            for row in page:
                if row["id"] not in seen:
                    seen.add(row["id"])
                    yield row

    def write(self, method: Method, path: str, body: Any, *, identified_by: str = "id") -> Row:
        def send(url: str) -> Answer:
            return self._transport.write(method, url, body, identified_by=identified_by)

        data: Row | None = self._answer(method, path, send).data
        if data is None and identified_by and method != "DELETE":
            raise Unreachable("ConnectWise said yes, but not to which record.", outcome_unknown=True)
        return data or {}

    def _pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[list[Row]]:
        last_id = 0
        for number in range(1, MAX_PAGES + 1):
            more: dict[str, str | int] = {"pageId": last_id} if last_id else {}
            page = self._page(path, {**params, **more, "pageSize": PAGE_SIZE}, _FORWARD_ONLY)
            if number > 1 and page and _id_number(page[0]) <= last_id:
                yield from self._numbered_pages(path, params)
                return
            yield page
            last_id = max(map(_id_number, page), default=0)
            if len(page) < PAGE_SIZE or not last_id:
                return
        raise self._endless(path)

    def _numbered_pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[list[Row]]:
        """From page 2; ends at a short page, or when a list that ignores `page` repeats itself."""
        before: Any = None
        for number in range(2, MAX_PAGES + 1):
            page = self._page(
                path, {"orderBy": "id asc", **params, "pageSize": PAGE_SIZE, "page": number}, {}
            )
            first = page[0]["id"] if page else None
            if not page or first == before:
                return
            yield page
            before = first
            if len(page) < PAGE_SIZE:
                return
        raise self._endless(path)

    def _page(self, path: str, params: Mapping[str, str | int], headers: Mapping[str, str]) -> list[Row]:
        def read(url: str) -> Answer:
            return self._transport.read(url, params=params, headers=headers, shape="list")

        return [row for row in self._answer("GET", path, read).data if _is_record(row)]

    def _endless(self, path: str) -> Unreachable:
        return Unreachable(f"{self._transport.host} did not come to an end of the list {path}.")

    def _answer(self, method: str, path: str, send: Callable[[str], Answer]) -> Answer:
        """Send; when the route was lost (the PSA was upgraded meanwhile), once more with the codebase of today."""
        facts = self._transport.shared.facts
        codebase = facts.get(self._fact) or self.discover()
        answer = send(f"/{codebase}/apis/3.0{path}")
        if is_lost_route(answer) and (today := self.discover()) != codebase:
            answer = send(f"/{today}/apis/3.0{path}")
        if answer.is_refusal:
            raise refusal(answer, method=method, path=path)
        return answer


def _is_record(row: Any) -> bool:
    """What has no id cannot be referred to, so it is of no use to us."""
    return isinstance(row, dict) and isinstance(row.get("id"), (int, str))


def _id_number(row: Row) -> int:
    try:
        return int(row["id"])
    except ValueError:
        return 0


def number(text: str, field: str = "id") -> int:
    """An id of ConnectWise, safe to stand in a path."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Misconfigured(f"“{text[:40]}” is not an id of ConnectWise.", field=field)
    return int(text)


def setting_reference(field: str, text: str) -> dict[str, int]:
    """A record that one of our settings names, as bodies refer to it."""
    return {"id": number(text, field)}


def id_of(row: Row, name: str) -> str | None:
    """The id of a reference as text; fields without a value are left out by ConnectWise."""
    value = row.get(name)
    found = value.get("id") if isinstance(value, dict) else None
    return str(found) if found not in (None, "") else None


def text_of(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def info_of(row: Row) -> Row:
    info = row.get("_info")
    return info if isinstance(info, dict) else {}
