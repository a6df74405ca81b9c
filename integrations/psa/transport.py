"""One HTTP call to a PSA and what came of it (asked by the adapters; nothing else in the product calls a PSA).

What a call promises: it ends within its total deadline, reads no more than the cap, follows no redirect, parses
nothing that is not JSON, talks to checked addresses only, and leaves no secret in an error or an `Exchange`. When a
write fails, the error says whether it may have been carried out all the same.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter

from integrations.psa.addresses import AddressPolicy, Resolver, system_resolver
from integrations.psa.answers import (
    Answer,
    Shape,
    Unusable,
    is_own_failure,
    parsed,
    retry_after,
    unusable_status,
)
from integrations.psa.errors import Misconfigured, PsaError, Throttled, Unreachable
from integrations.psa.port import AtOnce, Budget, Exchange, Importance
from integrations.psa.redaction import Redaction
from integrations.psa.wire import POOLS, Call, tls_context

Method = Literal["POST", "PATCH", "PUT", "DELETE"]
Kept = TypeVar("Kept")

DEADLINE = 20.0
CONNECT_TIMEOUT = 5.0
MAX_BODY = 10 * 1024 * 1024
MAX_KEPT = 4_000
CONNECT_TRIES = 3

_CHUNK = 64 * 1024
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)


class _Session(requests.Session):
    """A session that never looks at where a redirect points (requests would read that answer without limit)."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Adapter(HTTPAdapter):
    """requests on our pinned and timed connections; certificates are always checked, by one shared context."""

    def __init__(self, context: ssl.SSLContext, pool_size: int) -> None:
        self._context = context
        super().__init__(pool_connections=2, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **more)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Already settled by the context; requests would load the authorities again for each connection."""


@lru_cache(maxsize=8)
def _tls(ca_bundle: str) -> ssl.SSLContext:
    return tls_context(ca_bundle or certifi.where())


class SharedConnection:
    """What the worker threads of one connection share: kept-alive sockets and what was learned about the PSA.

    Safe to share between threads (the pool locks, cookies are off, nothing else changes but `facts`, a dict of
    strings, and what `common` keeps); adapters and `Transport` objects are not: make one of each per thread over one
    of these. `budget` counts calls where a PSA limits them for all programs together, `turns` bounds those at once.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        resolver: Resolver = system_resolver,
        pool_size: int = 16,
        budget: Budget | None = None,
        turns: AtOnce | None = None,
    ) -> None:
        self.policy = policy
        self.resolver = resolver
        self.budget = budget
        self.turns = turns
        self.facts: dict[tuple[str, ...], str] = {}
        self._common: dict[tuple[str, ...], Any] = {}
        self._lock = threading.Lock()
        self.session = _Session()
        self.session.trust_env = False
        self.session.headers.clear()
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, _Adapter(_tls(policy.ca_bundle), pool_size))

    def common(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        """What an adapter keeps for all threads of this process (locks, caches): made once, by the first who asks."""
        with self._lock:
            if key not in self._common:
                self._common[key] = make()
            kept: Kept = self._common[key]
            return kept

    def close(self) -> None:
        self.session.close()


class Transport:
    """Calls to one site. Not for two threads at once; the `SharedConnection` below it is.

    `headers` go with every call, `secrets` are masked wherever they turn up. `before_write` is called when the
    connection stands and the next thing is the first byte of a write; what it raises is raised to the caller, and
    nothing is sent. `on_call` gets one redacted `Exchange` for each call that was tried. `reads_within` are the seconds
    that all reads together may take, where somebody waits for them; a write always has its own deadline.
    """

    def __init__(
        self,
        site: str,
        *,
        shared: SharedConnection,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        deadline: float = DEADLINE,
        connect_timeout: float = CONNECT_TIMEOUT,
        max_body: int = MAX_BODY,
        before_write: Callable[[], None] | None = None,
        on_call: Callable[[Exchange], None] | None = None,
        importance: Importance = "note",
        reads_within: float | None = None,
    ) -> None:
        self.shared = shared
        self.importance: Importance = importance
        self.move_to(site)
        self.mask = Redaction(secrets)
        self.reads = 0
        self.writes = 0
        self.before_write = before_write
        self.on_call = on_call
        # Statuses besides 400 to 499 whose body is the PSA's own word: they too come back as an `Answer`.
        self.speaking: Collection[int] = ()
        self._headers = {"User-Agent": "PSA-Portal", "Accept-Encoding": "gzip", **(headers or {})}
        self._deadline = deadline
        self._reads_end_at = time.monotonic() + reads_within if reads_within is not None else math.inf
        self._connect_timeout = connect_timeout
        self._max_body = max_body

    def move_to(self, site: str) -> None:
        """Call this site from now on (a PSA may name the host that an account lives at)."""
        self.site = _allowed_site(site, self.shared.policy)
        self.host = urlsplit(site).hostname or site

    def read(
        self,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        shape: Shape = "object",
        body: Any = None,
    ) -> Answer:
        """GET, or a POST that only asks when there is a `body`. A connection that cannot be made is tried again at
        once, twice; nothing else is."""
        self.reads += 1
        data = None if body is None else json.dumps(body).encode()
        request = self._prepared("GET" if data is None else "POST", path, data, params, headers)
        ends_at = min(time.monotonic() + self._deadline, self._reads_end_at)
        if ends_at <= time.monotonic():
            raise Unreachable(f"{self.host} answers too slowly.")
        for attempt in range(1, CONNECT_TRIES + 1):
            call = self._call(ends_at)
            try:
                return self._logged(request, call, shape, "", is_write=False)
            except Unreachable:
                if call.is_sent or attempt == CONNECT_TRIES or time.monotonic() >= ends_at:
                    raise
        raise AssertionError("unreachable code")

    def write(
        self,
        method: Method,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        shape: Shape = "object",
        identified_by: str = "id",
    ) -> Answer:
        """One write, sent at most once. The answer must carry `identified_by` unless that is empty."""
        self.writes += 1
        data = None if body is None else json.dumps(body).encode()
        request = self._prepared(method, path, data, None, headers)
        call = self._call(time.monotonic() + self._deadline, self.before_write)
        return self._logged(request, call, shape, identified_by, is_write=True)

    def _prepared(
        self,
        method: str,
        path: str,
        body: bytes | None,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
    ) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.prepare_method(method)
        request.prepare_url(f"{self.site}/{path.lstrip('/')}", params)
        request.prepare_headers({**self._headers, **(headers or {})})
        request.prepare_body(body, None)
        request.prepare_hooks({})
        if body is not None:
            request.headers["Content-Type"] = "application/json"
        return request

    def _call(self, ends_at: float, before_send: Callable[[], None] | None = None) -> Call:
        return Call(
            ends_at=ends_at,
            connect_timeout=self._connect_timeout,
            policy=self.shared.policy,
            resolver=self.shared.resolver,
            before_send=before_send,
        )

    def _logged(
        self,
        request: requests.PreparedRequest,
        call: Call,
        shape: Shape,
        identified_by: str,
        *,
        is_write: bool,
    ) -> Answer:
        """One attempt; `on_call` hears of it whatever comes."""
        started = time.monotonic()
        seen = _Seen()
        error = ""
        try:
            return self._attempt(request, call, seen, shape, identified_by, is_write=is_write)
        except PsaError as failure:
            error = str(failure)
            raise
        except BaseException as failure:
            error = self.mask(f"{type(failure).__name__}: {failure}")
            raise
        finally:
            if self.on_call:
                self.on_call(self._exchange(request, seen, time.monotonic() - started, error))

    def _attempt(
        self,
        request: requests.PreparedRequest,
        call: Call,
        seen: _Seen,
        shape: Shape,
        identified_by: str,
        *,
        is_write: bool,
    ) -> Answer:
        with call:
            try:
                self._receive(request, call, seen)
            except PsaError:
                raise
            except _FAILURES as error:
                raise self._no_answer(error, call, is_write) from None
            except Exception:
                if call.refusal is not None:
                    raise call.refusal from None
                raise
        return self._judged(seen, is_write, shape, identified_by)

    def _receive(self, request: requests.PreparedRequest, call: Call, seen: _Seen) -> None:
        """Status, headers and the whole body into `seen`. A connection that was not read to its end is closed."""
        response = self.shared.session.send(
            request,
            stream=True,
            allow_redirects=False,
            verify=True,
            proxies={},
            timeout=(call.to_connect(), call.remaining()),
        )
        try:
            seen.status, seen.headers = response.status_code, response.headers
            if not 300 <= seen.status < 400:
                seen.body = self._body(response, call)
        finally:
            response.close()

    def _body(self, response: requests.Response, call: Call) -> bytes:
        """At most the cap, counted after decompression. Of a refusal the beginning is enough."""
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read(_CHUNK, decode_content=True):
            call.remaining()
            size += len(chunk)
            chunks.append(chunk)
            if size > self._max_body:
                raise _TooMuch
        return b"".join(chunks)

    def _no_answer(self, error: Exception, call: Call, is_write: bool) -> Unreachable:
        """Which failure it was, in words; nothing sent means that nothing happened."""
        text = self.mask(_failure_text(error, self.host, is_sent=call.is_sent))
        return Unreachable(f"{text}.", outcome_unknown=is_write and call.is_sent, advice=_LATER)

    def _judged(self, seen: _Seen, is_write: bool, shape: Shape, identified_by: str) -> Answer:
        if seen.status in self.speaking:
            return Answer(
                status=seen.status,
                headers=seen.headers,
                text=self._kept(seen.body),
                is_own_failure=is_own_failure(seen.status, seen.body, seen.headers),
            )
        if seen.status == 429:
            raise Throttled(
                f"{self.host} asks us to slow down.", retry_after=retry_after(seen.headers), status=429
            )
        if reason := unusable_status(seen.status):
            raise Unreachable(
                f"{self.host} {reason}.",
                outcome_unknown=is_write,
                was_answered=is_own_failure(seen.status, seen.body, seen.headers),
                status=seen.status,
                advice=_LATER,
            )
        if seen.status >= 400:
            return Answer(status=seen.status, headers=seen.headers, text=self._kept(seen.body))
        if seen.status == 204:
            return Answer(status=204, headers=seen.headers)
        try:
            data = parsed(seen.body, seen.headers, shape, identified_by)
        except Unusable as error:
            raise Unreachable(
                f"{self.host} {error}.", outcome_unknown=is_write, status=seen.status, advice=_LATER
            ) from None
        return Answer(status=seen.status, headers=seen.headers, data=data)

    def _kept(self, body: bytes | str | None) -> str:
        text = body[: 8 * MAX_KEPT] if body else ""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return self.mask.cut(text, MAX_KEPT)

    def _exchange(
        self, request: requests.PreparedRequest, seen: _Seen, seconds: float, error: str
    ) -> Exchange:
        path = (request.url or "").removeprefix(self.site)
        return Exchange(
            method=request.method or "",
            path=self.mask.cut(path, MAX_KEPT),
            status=seen.status or None,
            seconds=round(seconds, 3),
            request=self._kept(request.body),
            response=self._kept(seen.body),
            error=self.mask(error),
        )


_LATER = "It is tried again by itself. If it stays like this, ask whoever runs the PSA."


@dataclass
class _Seen:
    """What an attempt got to see before it ended."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _TooMuch(ValueError):
    pass


def _allowed_site(site: str, policy: AddressPolicy) -> str:
    """Scheme and port by the policy; the address itself is judged when connecting."""
    parts = urlsplit(site)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise Misconfigured("The site is not the address of a PSA.", field="site_url")
    if parts.scheme == "http" and not policy.allow_http:
        raise Misconfigured("The site must be called by https, not by http.", field="site_url")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not policy.may_use_port(port):
        raise Misconfigured(f"Port {port} may not be called from here.", field="site_url")
    return site.rstrip("/")


def _failure_text(error: Exception, host: str, *, is_sent: bool) -> str:
    if isinstance(error, _TooMuch):
        return f"{host} sent an answer that is too large"
    if _is_caused_by(error, ssl.SSLCertVerificationError):
        return f"The certificate of {host} could not be verified"
    if _is_caused_by(error, ssl.SSLError) and not is_sent:
        return f"No secure connection to {host}"
    if _is_caused_by(error, TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout):
        return f"{host} did not answer in time"
    if is_sent:
        return f"{host} broke the connection before its answer was complete"
    return f"No connection to {host}"


def _is_caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """requests and urllib3 wrap each other's errors by argument, `reason` and context alike."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting and len(seen) < 30:
        item = waiting.pop()
        if not isinstance(item, BaseException) or item in seen:
            continue
        if isinstance(item, kinds):
            return True
        seen.append(item)
        waiting += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return False
