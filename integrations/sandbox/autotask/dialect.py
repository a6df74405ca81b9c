"""The pretend Autotask PSA: who may come in, what is done, and how the answer looks."""

import inspect
import json
import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from integrations.sandbox import switching
from integrations.sandbox.autotask import doors, information, views
from integrations.sandbox.autotask.answers import (
    IMPERSONATED,
    THREADS,
    NotRouted,
    Refused,
    errors_answer,
    no_resource,
    not_allowed,
    not_permitted,
    unauthorized,
)
from integrations.sandbox.autotask.billing import roll_forward
from integrations.sandbox.autotask.collection import Collection
from integrations.sandbox.autotask.deliveries import Deliveries
from integrations.sandbox.autotask.desk import Clock, Desk, wall_clock
from integrations.sandbox.autotask.limits import Limits
from integrations.sandbox.autotask.queries import Asked, Query
from integrations.sandbox.autotask.role import area_of
from integrations.sandbox.autotask.routes import ROUTES, Route, pattern_of
from integrations.sandbox.autotask.seed import seed
from integrations.sandbox.autotask.seedlarge import LARGE, seed_large
from integrations.sandbox.autotask.settings import API_USER, CHOICES, Settings, settings_from
from integrations.sandbox.autotask.store import Store, Tables
from integrations.sandbox.autotask.technician import ACTIONS, TECHNICIAN
from integrations.sandbox.autotask.webhooks import Call, calls_for
from integrations.sandbox.dialect import ControlError, Link, Section, Verb, View
from integrations.sandbox.messages import Answer, Request, json_answer
from integrations.sandbox.switching import Switch

_REST = re.compile(r"(?:/([a-z]\w*))?/atservicesrest/v1\.0/(.+?)/?", re.IGNORECASE)
_VERSIONS = re.compile(r"(?:/[a-z]\w*)?/atservicesrest/versioninformation/?", re.IGNORECASE)
_MOST_UNPACKED = 64 * 1024 * 1024
_OWN_PATHS = ("version", "modules", "thresholdinformation", "entityinformation")
_UNIT_TABLES = ("ContractServiceUnits", "ContractServiceBundleUnits")
Result = tuple[int, Any]


class Autotask:
    kind = "autotask"

    def __init__(self, state: Path | None = None, *, clock: Clock = wall_clock) -> None:
        self.store = Store(state)
        self.limits = Limits()
        self.deliveries = Deliveries(self.desk)
        self._clock = clock
        self._closing = threading.Event()
        self._rolled_on = ""
        self._seeded: tuple[str, Tables] = ("", {})
        self.settings = Settings()
        if self.store.load():
            self.settings = settings_from(self.store.settings)
        else:
            self.reset({})

    def handle(self, request: Request) -> Answer:
        if _VERSIONS.fullmatch(request.path):
            return json_answer(information.API_VERSIONS)
        routed = _REST.fullmatch(request.path)
        if routed is None:
            return _said(no_resource(request.path))
        if routed[2].lower() == "zoneinformation":
            return self._zone(request)
        if (routed[1] or "") != self.settings.switches.zone_path or not self._knows(request):
            return unauthorized(f"webservices{self.settings.switches.zone_path}")
        try:
            return self._limited(request, unquote(routed[2]))
        except Refused as refused:
            return json_answer(refused.body, status=refused.status, headers=refused.headers)
        except NotRouted as lost:
            return _said(lost)

    def module_of(self, request: Request) -> str | None:
        found = _REST.fullmatch(request.path)
        routes = ROUTES.get(pattern_of(found[2])[0]) if found else None
        return area_of(next(iter(routes.values())).entity.name) if routes else None

    def refusal(self, status: int, retry_after: str | None = None) -> Answer:
        headers = (("Retry-After", retry_after),) if retry_after is not None else ()
        if status == 401:
            return unauthorized("webservices")
        if status == 403:
            refused = not_permitted("query", status=403)
            return json_answer(refused.body, status=403)
        if status == 429:
            return errors_answer(THREADS.format(most=3), status=429, headers=headers)
        return errors_answer("Execution Timeout Expired.", status=status)

    def verbs(self) -> Mapping[str, tuple[str, Verb]]:
        return doors.verbs(self)

    def act(self, action: str, body: Mapping[str, Any]) -> Any:
        """What a technician does in the PSA; to be called with the lock held."""
        desk = self.desk(actor=TECHNICIAN, technician=True)
        try:
            return ACTIONS[action](desk, body)
        except (Refused, KeyError, TypeError, ValueError) as error:
            detail = error.body if isinstance(error, Refused) else repr(error)
            raise ControlError(f"{action}: {detail}") from error
        finally:
            self.committed(desk)

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
        return {**self.settings.credentials(), "rest": "/ATServicesRest/V1.0"}

    def change_settings(self, settings: Settings) -> None:
        with self.store.lock:
            self.settings = settings
            self.store.set_settings(settings.as_json())
            self.store.commit()

    def desk(
        self,
        *,
        actor: int = API_USER,
        technician: bool = False,
        request: int | None = None,
        impersonator: int | None = None,
    ) -> Desk:
        return Desk(self.store, self.settings, self._clock, actor, technician, request, impersonator)

    def committed(self, desk: Desk) -> bool:
        """Keep what was written and tell the subscribers; to be called with the lock held."""
        events, self.store.events = self.store.events, []
        calls: list[Call] = [call for event in events for call in calls_for(desk, event)]
        done = self.store.commit()
        self.deliveries.send(calls)
        return done

    def now(self) -> float:
        return self._clock().timestamp()

    def reset(self, options: Mapping[str, Any]) -> None:
        large = options.get("large")
        if large is not None and not (isinstance(large, dict) and set(large) <= set(LARGE)):
            raise ControlError(f"large takes: {', '.join(LARGE)}")
        with self.store.lock:
            self.settings = Settings()
            self.limits.clear()
            self.deliveries.stop()
            self.deliveries = Deliveries(self.desk)
            self._seed()
            if large is not None:
                seed_large(self.desk(), **large)
            self.store.settings = self.settings.as_json()
            self.store.events = []
            self.store.rewrite()

    def close(self) -> None:
        self._closing.set()
        self.deliveries.stop()
        with self.store.lock:
            self.store.close()

    def _seed(self) -> None:
        """The seed depends on the day only, and resets are frequent in tests: the tables of today are kept."""
        today = self.desk().today().isoformat()
        if self._seeded[0] != today:
            self.store.clear()
            seed(self.desk())
            self._seeded = (today, self.store.copied_tables())
        self.store.clear(self._seeded[1])

    def _zone(self, request: Request) -> Answer:
        """Open to all, and not counted; which zone a user belongs to is all it tells."""
        if request.method != "GET":
            return _said(not_allowed(request.method))
        user = request.query.get("user", "").strip().casefold()
        if user != self.settings.user_name.casefold():
            return errors_answer(information.NO_ZONE)
        host = request.headers.get("host", "localhost")
        return json_answer(information.zone(host, self.settings.switches))

    def _knows(self, request: Request) -> bool:
        headers, settings = request.headers, self.settings
        return (
            headers.get("username", "").casefold() == settings.user_name.casefold()
            and headers.get("secret") == settings.secret
            and headers.get("apiintegrationcode") == settings.integration_code
        )

    def _limited(self, request: Request, path: str) -> Answer:
        switches = self.settings.switches
        late = self.limits.enter(self.now(), switches)
        pattern, ids = pattern_of(path)
        route = self._route(request, pattern)
        endpoint = route.entity.name if route else pattern
        with self.limits.thread(self.settings.integration_code, endpoint, switches):
            if pause := late + switches.answer_seconds:
                self._closing.wait(pause)
            if route is None:
                return json_answer(self._about(request, pattern))
            return self._rest(request, route, ids)

    def _route(self, request: Request, pattern: str) -> Route | None:
        if pattern in _OWN_PATHS:
            return None
        methods = ROUTES.get(pattern)
        if not methods:
            raise no_resource(request.path)
        if request.method not in methods:
            raise not_allowed(request.method)
        return methods[request.method]

    def _about(self, request: Request, pattern: str) -> Any:
        if request.method != "GET":
            raise not_allowed(request.method)
        if pattern == "thresholdinformation":
            switches = self.settings.switches
            return information.threshold(switches, self.limits.used(self.now(), switches))
        if pattern == "entityinformation":
            return information.about_all(self.desk())
        return information.VERSION if pattern == "version" else information.modules()

    def _rest(self, request: Request, route: Route, ids: list[int]) -> Answer:
        with self.store.lock:
            self._roll(route)
            desk = self._desk_for(request, route)
            try:
                status, value = self._act(desk, route, ids, request)
            finally:
                committed = self.committed(desk)
        answer = json_answer(value, status=status)
        return Answer(answer.status, answer.body, answer.content_type, (), committed) if committed else answer

    def _desk_for(self, request: Request, route: Route) -> Desk:
        """The API user's desk, or that of the resource it writes as."""
        named = request.headers.get("impersonationresourceid", "").strip()
        if not named:
            return self.desk(request=request.number)
        if route.right == "query":
            raise not_permitted("query", status=self.settings.switches.permission_status)
        resource = self.store.get("Resources", int(named)) if named.isdigit() else None
        if (
            resource is None
            or not resource.get("isActive")
            or self.settings.switches.impersonation == "refused"
        ):
            raise Refused(IMPERSONATED)
        return self.desk(actor=resource["id"], request=request.number, impersonator=API_USER)

    def _roll(self, route: Route) -> None:
        """Once a day the billing periods that have come into sight get their rows."""
        today = self.desk().today().isoformat()
        if route.entity.name in _UNIT_TABLES and self._rolled_on != today:
            self._rolled_on = today
            for contract in list(self.store.all("Contracts")):
                roll_forward(self.desk(), contract)
            self.store.commit()

    def _act(self, desk: Desk, route: Route, ids: list[int], request: Request) -> Result:
        if route.action in ("about", "fields", "udfs"):
            return 200, _ABOUT[route.action](desk, route.entity)
        desk.require(route.entity.name, route.right)
        collection = Collection(route.entity, desk, ids.pop(0) if route.below_parent else None)
        if route.action in ("query", "count", "page"):
            return 200, self._read_many(desk, route, collection, request)
        if route.action == "children":
            rows = [collection.shown(row) for row in collection.children()]
            details = {"count": len(rows), "requestCount": 500, "prevPageUrl": None, "nextPageUrl": None}
            return 200, {"items": rows, "pageDetails": details}
        if route.action == "get":
            return self._item(collection, ids[0])
        if route.action == "delete":
            return 200, {"itemId": collection.delete(ids[0])}
        write = {"create": collection.create, "patch": collection.patch, "put": collection.put}[route.action]
        return 200, {"itemId": write(self._json_body(request))}

    def _item(self, collection: Collection, row_id: int) -> Result:
        row = collection.find(row_id)
        if row is not None:
            return 200, {"item": collection.shown(row)}
        if self.settings.switches.missing_item == "404":
            return 404, {"errors": []}
        return 200, {"item": None}

    def _read_many(self, desk: Desk, route: Route, collection: Collection, request: Request) -> Any:
        asked = self._asked(request, route)
        query = Query(desk, route.entity.shape, asked)
        if route.action == "count":
            return {"queryCount": query.count()}
        page = query.page()
        items = [collection.shown(row, page.names) for row in page.records]
        return {"items": items, "pageDetails": page.details}

    def _asked(self, request: Request, route: Route) -> Asked:
        parameters = request.query
        paging = parameters.get("paging") if route.action == "page" else None
        host = request.headers.get("host", "localhost")
        path = self.settings.switches.zone_path
        url = f"http://{host}{'/' if path else ''}{path}/ATServicesRest/V1.0/{route.entity.name}/query"
        if request.method == "POST":
            body, search = self._json_body(request), None
        else:
            search = parameters.get("search")
            if search is None and route.action == "page":
                raise not_allowed("GET")
            body = _parsed((search or "").encode())
        if not isinstance(body, dict):
            raise Refused("The query must be an object.")
        return Asked(body, url, search, paging)

    def _json_body(self, request: Request) -> Any:
        body = request.body
        if request.headers.get("content-encoding", "").lower() == "gzip":
            if not self.settings.switches.accepts_gzip:
                raise Refused("The request body cannot be read.")
            body = _unpacked(body)
        return _parsed(body)


_ABOUT = {"about": information.about, "fields": information.fields, "udfs": information.udf_fields}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("The request body is not valid JSON.") from error


def _unpacked(body: bytes) -> bytes:
    try:
        unpacking = zlib.decompressobj(wbits=31)
        unpacked = unpacking.decompress(body, _MOST_UNPACKED)
    except zlib.error as error:
        raise Refused("The request body cannot be read.") from error
    if unpacking.unconsumed_tail:
        raise Refused("The request body is too large.")
    return unpacked


def _said(lost: NotRouted) -> Answer:
    return json_answer(lost.body, status=lost.status)
