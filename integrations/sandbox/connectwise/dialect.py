"""The pretend ConnectWise PSA: who may come in, what is done, and in which clothes the answer leaves."""

import inspect
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from integrations.sandbox import switching
from integrations.sandbox.connectwise import doors, hosted, members, system, views
from integrations.sandbox.connectwise.answers import NOT_ROUTED, Refused, forbidden, too_many
from integrations.sandbox.connectwise.callbacks import calls_for, changes_in, key_answer, number_in
from integrations.sandbox.connectwise.calls import Call, json_body
from integrations.sandbox.connectwise.deliveries import Deliveries
from integrations.sandbox.connectwise.desk import Clock, Desk, wall_clock
from integrations.sandbox.connectwise.kinds import BASE
from integrations.sandbox.connectwise.lists import Page, Wish, thinned
from integrations.sandbox.connectwise.resources import Collection
from integrations.sandbox.connectwise.routes import ROUTES, Route, pattern_of
from integrations.sandbox.connectwise.seed import Seeder, seed
from integrations.sandbox.connectwise.seedlarge import LARGE, seed_large
from integrations.sandbox.connectwise.seedsetup import seed_setup
from integrations.sandbox.connectwise.settings import API_MEMBER, CHOICES, Settings, settings_from
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.connectwise.technician import ACTIONS, CannotDo
from integrations.sandbox.dialect import ControlError, Link, Section, Verb, View
from integrations.sandbox.messages import Answer, Headers, Request, json_answer, json_bytes, text_answer
from integrations.sandbox.switching import Switch

_REST = re.compile(r"/([^/]+)/apis/3\.0/(.+)", re.IGNORECASE)
_COMPANY_INFO = re.compile(r"/login/companyinfo/([^/]+)/?", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_ACCEPTED = re.compile(r"version\s*=\s*(\d{4}\.\d+)")
_HOSTED = re.compile(r"/hosted/(\d{1,9})/?")


Result = tuple[int, Any, Headers] | Answer


class ConnectWise:
    kind = "connectwise"

    def __init__(self, state: Path | None = None, *, clock: Clock = wall_clock) -> None:
        self.store = Store(state)
        self._clock = clock
        self._base = f"http://127.0.0.1/{system.OLDEST_CODEBASE}/apis/3.0"
        self._calls: deque[float] = deque()
        self.settings = Settings()
        self.deliveries = Deliveries(self.desk)
        self.store.tell = self._tell
        if self.store.load():
            self.settings = settings_from(self.store.settings)
            if not self.store.table("locations").ids:  # a file of a version that had no set-up tables
                seed_setup(Seeder(self.store))
                self.store.commit()
        else:
            self.reset({})

    def handle(self, request: Request) -> Answer:
        if found := _COMPANY_INFO.fullmatch(request.path):
            return self._company_info(unquote(found[1]))
        if request.method == "GET" and (key := number_in(request.path)) is not None:
            return json_answer(key_answer(self.desk(), key))
        if (found := _HOSTED.fullmatch(request.path)) and request.method == "GET":
            with self.store.lock:
                return hosted.page(self.store, self.settings, request, int(found[1]))
        routed = _REST.fullmatch(request.path)
        if routed is None:
            return text_answer("Not found", status=404)
        switches = self.settings.switches
        if len(request.target) > switches.longest_url:
            return text_answer("The URL is too long", status=switches.long_url_status)
        if routed[1].lower() not in (system.OLDEST_CODEBASE, switches.codebase.lower()):
            return text_answer(NOT_ROUTED, status=switches.wrong_codebase)
        if self._is_too_much():
            return too_many(switches.retry_after or None)
        base = f"http://{request.headers.get('host', 'localhost')}/{routed[1]}/apis/3.0"
        self._base = base
        try:
            return self._rest(request, routed[2], base, self._sign_in(request))
        except Refused as refused:
            return _dressed(request, refused.status, refused.body, base)

    def module_of(self, request: Request) -> str | None:
        found = _REST.fullmatch(request.path)
        if not found:
            return None
        routes = ROUTES.get(pattern_of(found[2])[0])
        return next(iter(routes.values())).function or None if routes else None

    def refusal(self, status: int, retry_after: str | None = None) -> Answer:
        if status == 429:
            return too_many(retry_after)
        if status == 401:
            return json_answer(self._unauthorized(401).body, status=401)
        if status == 403:
            return json_answer(forbidden().body, status=403)
        body = {"code": "InternalServerError", "message": "Query read timeout", "errors": None}
        return json_answer(body, status=status)

    def verbs(self) -> Mapping[str, tuple[str, Verb]]:
        return doors.verbs(self)

    def act(self, action: str, body: Mapping[str, Any]) -> Any:
        """What a technician does in the PSA; to be called with the lock held."""
        desk = self.desk(actor="technician", technician=True)
        try:
            return ACTIONS[action](desk, body)
        except (CannotDo, Refused, KeyError, TypeError, ValueError) as error:
            detail = error.body if isinstance(error, Refused) else repr(error)
            raise ControlError(f"{action}: {detail}") from error
        finally:
            self.store.commit()

    def sections(self) -> Sequence[Section]:
        with self.store.lock:
            return views.overview(self.desk())

    def links(self) -> Sequence[Link]:
        return views.LINKS

    def view(self, name: str, rest: str, query: Mapping[str, str]) -> View | None:
        with self.store.lock:
            return views.view(self.desk(), name, rest, query)

    def actions(self) -> Mapping[str, str]:
        return {name: inspect.cleandoc(act.__doc__ or "") for name, act in ACTIONS.items()}

    def switches(self) -> Sequence[Switch]:
        return switching.explained(self.settings.switches, CHOICES)

    def switch_values(self) -> Any:
        return self.settings.switches

    def credentials(self) -> dict[str, str]:
        rest = f"/{system.OLDEST_CODEBASE}/apis/3.0"
        return {**self.settings.credentials(), "member": API_MEMBER, "rest": rest}

    def change_settings(self, settings: Settings) -> None:
        with self.store.lock:
            self.settings = settings
            self.store.set_settings(settings.as_json())
            self.store.commit()

    def desk(self, *, actor: str = API_MEMBER, technician: bool = False, request: int | None = None) -> Desk:
        return Desk(self.store, self.settings, self._clock, actor, technician, request)

    def reset(self, options: Mapping[str, Any]) -> None:
        large = options.get("large")
        if large is not None and not (isinstance(large, dict) and set(large) <= set(LARGE)):
            raise ControlError(f"large takes: {', '.join(LARGE)}")
        with self.store.lock:
            self.deliveries.stop()
            self.deliveries = Deliveries(self.desk)
            self.store.clear()
            self.settings = Settings()
            seed(self.store)
            if large is not None:
                seed_large(self.store, **large)
            self.store.settings = self.settings.as_json()
            self.store.rewrite()

    def close(self) -> None:
        self.deliveries.stop()
        with self.store.lock:
            self.store.close()

    def _tell(self, lines: list[Any]) -> None:
        """What was just committed, to the subscribers; with the lock held."""
        if not self.store.table("callbacks").rows:
            return
        desk = self.desk()
        calls = [call for change in changes_in(lines) for call in calls_for(desk, change, self._base)]
        self.deliveries.send(calls)

    def _company_info(self, company: str) -> Answer:
        known = system.company_info(self.settings, company)
        if known is None and self.settings.switches.unknown_company == "404":
            return text_answer("Not found", status=404)
        return json_answer(known)

    def _is_too_much(self) -> bool:
        """Count one call; True when the window is full already."""
        switches, now = self.settings.switches, self._clock().timestamp()
        if not switches.requests_per_window:
            return False
        with self.store.lock:
            while self._calls and self._calls[0] <= now - switches.window_seconds:
                self._calls.popleft()
            if len(self._calls) >= switches.requests_per_window:
                return True
            self._calls.append(now)
            return False

    def _sign_in(self, request: Request) -> str:
        """The identifier of the member who asks."""
        switches = self.settings.switches
        with self.store.lock:
            identifier = members.signed_in(request, self.settings, self.store, self._clock())
        if identifier is None:
            raise self._unauthorized(switches.unauthorized_status)
        client_id = request.headers.get("clientid", "")
        checks = {"off": True, "present": bool(client_id), "guid": _GUID.fullmatch(client_id) is not None}
        if not checks[switches.client_id_check]:
            raise Refused(
                switches.client_id_status, "Unauthorized", "The clientId header is missing or unknown."
            )
        return identifier

    def _unauthorized(self, status: int) -> Refused:
        code = self.settings.switches.unauthorized_code
        message = (
            "UserNotAuthenticated" if code == "ConnectWiseApi" else "Authentication failed for this request."
        )
        return Refused(status, code, message)

    def _rest(self, request: Request, path: str, base: str, actor: str) -> Answer:
        pattern, ids, name = pattern_of(unquote(path))
        routes = ROUTES.get(pattern)
        if routes is None:
            raise Refused(404, "NotFound", f"{path} not found")
        route = routes.get(request.method)
        if route is None:
            raise Refused(405, "MethodNotAllowed", f"{request.method} is not allowed here")
        with self.store.lock:
            desk = self.desk(actor=actor, request=request.number)
            try:
                result = self._act(desk, route, ids, name, request)
            finally:
                committed = self.store.commit()
        if isinstance(result, Answer):
            return replace(result, committed=committed)
        status, value, headers = result
        return _dressed(request, status, value, base, headers, committed=committed)

    def _act(self, desk: Desk, route: Route, ids: list[int], name: str, request: Request) -> Result:
        if route.act is not None:
            if route.function:
                about = desk.store.get(route.table, ids[0]) if route.table else None
                desk.require(route.function, route.right, route.entry, about)
            done = route.act(desk, Call(ids, name, _wish(request), request))
            return done if isinstance(done, Answer) else (*done, ())
        resource = route.resource
        if resource is None:
            raise RuntimeError(f"the route {route} leads nowhere")
        parent = ids.pop(0) if "*" in resource.path else None
        collection = Collection(resource, desk, parent)
        if not desk.settings.switches.permission_first and ids:
            collection.get(ids[0])
        desk.require(resource.function, route.right, resource.entry)
        if route.action in ("page", "count", "search"):
            return self._read_many(collection, route.action, request)
        if route.action == "create":
            record = collection.create(json_body(request))
            return (
                resource.created_as,
                collection.shown(record),
                (("Location", f"{_url(request)}/{record['id']}"),),
            )
        if route.action == "delete":
            collection.delete(ids[0])
            return 204, None, ()
        if route.action == "get":
            record = collection.get(ids[0])
        else:
            write = collection.patch if route.action == "patch" else collection.put
            record = write(ids[0], json_body(request))
        return 200, _wanted_fields(collection.shown(record), request.query), ()

    def _read_many(self, collection: Collection, action: str, request: Request) -> tuple[int, Any, Headers]:
        wish = _wish(request)
        if action == "search":
            body = json_body(request)
            if not isinstance(body, dict):
                raise Refused(400, "InvalidObject", "the body must be an object")
            given = {name.lower(): str(value) for name, value in body.items() if value is not None}
            wish = replace(wish, query={**wish.query, **given})
        if action == "count":
            return 200, {"count": collection.count(wish)}, ()
        page: Page = collection.page(wish)
        records = [_wanted_fields(collection.shown(record), wish.query) for record in page.records]
        return 200, records, (("Link", page.link),) if page.link else ()


def _wish(request: Request) -> Wish:
    forward = request.headers.get("pagination-type", "").lower() == "forward-only"
    return Wish(request.query, request.raw_query, _url(request), forward)


def _wanted_fields(record: Record, query: Mapping[str, str]) -> Record:
    fields = query.get("fields", "").strip()
    return thinned(record, fields) if fields else record


def _url(request: Request) -> str:
    return f"http://{request.headers.get('host', 'localhost')}{request.path.rstrip('/')}"


def _dressed(
    request: Request, status: int, value: Any, base: str, headers: Headers = (), *, committed: bool = False
) -> Answer:
    """The media type names the version asked for; `api-current-version` the one there is."""
    asked = _ACCEPTED.search(request.headers.get("accept", ""))
    version = asked[1] if asked else system.API_VERSION
    body = b"" if status == 204 else json_bytes(value).replace(BASE.encode(), base.encode())
    content_type = f"application/vnd.connectwise.com+json; version={version}"
    return Answer(
        status, body, content_type, (("api-current-version", system.API_VERSION), *headers), committed
    )
