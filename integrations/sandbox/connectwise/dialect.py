"""The pretend ConnectWise PSA: who may come in, what is done, and in which clothes the answer leaves."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from integrations.sandbox.connectwise import doors, role, system
from integrations.sandbox.connectwise.answers import NOT_ROUTED, Refused, forbidden, not_found, too_many
from integrations.sandbox.connectwise.callbacks import calls_for, changes_in, key_answer, number_in
from integrations.sandbox.connectwise.deliveries import Deliveries
from integrations.sandbox.connectwise.desk import Clock, Desk, wall_clock
from integrations.sandbox.connectwise.kinds import BASE
from integrations.sandbox.connectwise.lists import Page, Wish, thinned
from integrations.sandbox.connectwise.resources import Collection
from integrations.sandbox.connectwise.routes import ROUTES, Route, pattern_of
from integrations.sandbox.connectwise.seed import seed
from integrations.sandbox.connectwise.seedlarge import LARGE, seed_large
from integrations.sandbox.connectwise.settings import API_MEMBER, Settings, settings_from
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.dialect import ControlError, Section, Verb
from integrations.sandbox.messages import Answer, Headers, Request, json_answer, json_bytes, text_answer

_REST = re.compile(r"/([^/]+)/apis/3\.0/(.+)", re.IGNORECASE)
_COMPANY_INFO = re.compile(r"/login/companyinfo/([^/]+)/?", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_ACCEPTED = re.compile(r"version\s*=\s*(\d{4}\.\d+)")
_OWN_PATHS = ("system/info", "system/mysecurity", "system/mymembers")


class ConnectWise:
    kind = "connectwise"

    def __init__(self, state: Path | None = None, *, clock: Clock = wall_clock) -> None:
        self.store = Store(state)
        self._clock = clock
        self._base = f"http://127.0.0.1/{system.OLDEST_CODEBASE}/apis/3.0"
        self.settings = Settings()
        self.deliveries = Deliveries(self.desk)
        self.store.tell = self._tell
        if self.store.load():
            self.settings = settings_from(self.store.settings)
        else:
            self.reset({})

    def handle(self, request: Request) -> Answer:
        if found := _COMPANY_INFO.fullmatch(request.path):
            return json_answer(system.company_info(self.settings, unquote(found[1])))
        if request.method == "GET" and (key := number_in(request.path)) is not None:
            return json_answer(key_answer(self.desk(), key))
        routed = _REST.fullmatch(request.path)
        if routed is None:
            return text_answer("Not found", status=404)
        switches = self.settings.switches
        if len(request.target) > switches.longest_url:
            return text_answer("The URL is too long", status=switches.long_url_status)
        if routed[1].lower() not in (system.OLDEST_CODEBASE, switches.codebase.lower()):
            return text_answer(NOT_ROUTED, status=400)
        base = f"http://{request.headers.get('host', 'localhost')}/{routed[1]}/apis/3.0"
        self._base = base
        try:
            self._sign_in(request)
            return self._rest(request, routed[2], base)
        except Refused as refused:
            return _dressed(request, refused.status, refused.body, base)

    def module_of(self, request: Request) -> str | None:
        found = _REST.fullmatch(request.path)
        if not found:
            return None
        routes = ROUTES.get(pattern_of(found[2])[0])
        return next(iter(routes.values())).resource.function if routes else None

    def refusal(self, status: int, retry_after: str | None = None) -> Answer:
        if status == 429:
            return too_many(retry_after)
        if status == 401:
            return json_answer(self._unauthorized().body, status=401)
        if status == 403:
            return json_answer(forbidden().body, status=403)
        body = {"code": "InternalServerError", "message": "Query read timeout", "errors": None}
        return json_answer(body, status=status)

    def verbs(self) -> Mapping[str, tuple[str, Verb]]:
        return doors.verbs(self)

    def sections(self) -> Sequence[Section]:
        with self.store.lock:
            return doors.sections(self.store)

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

    def _sign_in(self, request: Request) -> None:
        if request.headers.get("authorization") != self.settings.authorization:
            raise self._unauthorized()
        switches = self.settings.switches
        client_id = request.headers.get("clientid", "")
        checks = {"off": True, "present": bool(client_id), "guid": _GUID.fullmatch(client_id) is not None}
        if not checks[switches.client_id_check]:
            raise Refused(
                switches.client_id_status, "Unauthorized", "The clientId header is missing or unknown."
            )

    def _unauthorized(self) -> Refused:
        code = self.settings.switches.unauthorized_code
        message = (
            "UserNotAuthenticated" if code == "ConnectWiseApi" else "Authentication failed for this request."
        )
        return Refused(401, code, message)

    def _rest(self, request: Request, path: str, base: str) -> Answer:
        pattern, ids = pattern_of(unquote(path))
        if pattern in _OWN_PATHS:
            return _dressed(request, 200, self._about(request, pattern), base)
        routes = ROUTES.get(pattern)
        if routes is None:
            raise Refused(404, "NotFound", f"{path} not found")
        route = routes.get(request.method)
        if route is None:
            raise Refused(405, "MethodNotAllowed", f"{request.method} is not allowed here")
        with self.store.lock:
            try:
                status, value, headers = self._act(route, ids, request, base)
            finally:
                committed = self.store.commit()
        return _dressed(request, status, value, base, headers, committed=committed)

    def _about(self, request: Request, pattern: str) -> Any:
        if request.method != "GET":
            raise Refused(405, "MethodNotAllowed", f"{request.method} is not allowed here")
        if pattern == "system/info":
            return system.info()
        member = next(row for row in self.store.all("members") if row["identifier"] == API_MEMBER)
        if self.settings.switches.my_security != "on":
            raise forbidden() if self.settings.switches.my_security == "forbidden" else not_found(pattern, 0)
        if pattern == "system/mymembers":
            return system.my_member(member, self.settings.switches)
        return role.my_security(self.settings.role, self.store.reference("members", member["id"]))

    def _act(self, route: Route, ids: list[int], request: Request, base: str) -> tuple[int, Any, Headers]:
        desk = self.desk(request=request.number)
        desk.require(route.resource.function, route.right, route.resource.entry)
        parent = ids.pop(0) if "*" in route.resource.path else None
        collection = Collection(route.resource, desk, parent)
        if route.action in ("page", "count", "search"):
            return self._read_many(collection, route.action, request)
        if route.action == "create":
            record = collection.create(_json_body(request))
            return 201, collection.shown(record), (("Location", f"{_url(request)}/{record['id']}"),)
        if route.action == "delete":
            collection.delete(ids[0])
            return 204, None, ()
        if route.action == "get":
            record = collection.get(ids[0])
        else:
            write = collection.patch if route.action == "patch" else collection.put
            record = write(ids[0], _json_body(request))
        return 200, _wanted_fields(collection.shown(record), request.query), ()

    def _read_many(self, collection: Collection, action: str, request: Request) -> tuple[int, Any, Headers]:
        query = request.query
        if action == "search":
            body = _json_body(request)
            if not isinstance(body, dict):
                raise Refused(400, "InvalidObject", "the body must be an object")
            query |= {name.lower(): str(value) for name, value in body.items() if value is not None}
        forward = request.headers.get("pagination-type", "").lower() == "forward-only"
        wish = Wish(query, request.raw_query, _url(request), forward)
        if action == "count":
            return 200, {"count": collection.count(wish)}, ()
        page: Page = collection.page(wish)
        records = [_wanted_fields(collection.shown(record), query) for record in page.records]
        return 200, records, (("Link", page.link),) if page.link else ()


def _wanted_fields(record: Record, query: Mapping[str, str]) -> Record:
    fields = query.get("fields", "").strip()
    return thinned(record, fields) if fields else record


def _json_body(request: Request) -> Any:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("application/json", "text/json") and not media_type.endswith("+json"):
        raise Refused(415, "UnsupportedMediaType", "Send application/json.")
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise Refused(400, "InvalidJson", "The body is not valid JSON.") from error


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
