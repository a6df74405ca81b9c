"""The control door `/__sandbox__/`: set faults, play the technician, look at what happened.

JSON without sign-in, therefore only for callers on the same machine unless the sandbox was opened on purpose.
The same verbs serve tests in-process through `Control`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from integrations.sandbox.dialect import ControlCall, ControlError, Dialect, Verb
from integrations.sandbox.faults import FAULTS, BadRule, Faults
from integrations.sandbox.messages import Answer, Request, json_answer
from integrations.sandbox.requestlog import RequestLog

PREFIX = "/__sandbox__"
_LOOPBACK = ("127.", "::1", "::ffff:127.")


class ControlDoor:
    def __init__(
        self,
        dialect: Dialect,
        faults: Faults,
        log: RequestLog,
        *,
        open_to_all: bool = False,
        before_reset: Callable[[], None] = lambda: None,
    ) -> None:
        self._dialect = dialect
        self._faults = faults
        self._log = log
        self._open_to_all = open_to_all
        self._before_reset = before_reset
        self._verbs: dict[str, tuple[str, Verb]] = {
            "faults": (
                "GET the rules, POST one rule or a list, DELETE all or faults/{id}",
                self._faults_verb,
            ),
            "requests": ("GET ?since=N[&limit=M] what was received; DELETE forgets it", self._requests_verb),
            "counts": ("GET how many requests, by path and status", self._counts_verb),
            "seed": ('POST {"seed": 7} for the dice of the faults', self._seed_verb),
            "reset": ("POST back to the seeded state; faults and requests are forgotten", self._reset_verb),
            "credentials": ("GET what a client signs in with", lambda call: dialect.credentials()),
            **dialect.verbs(),
        }

    def call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """Do `{verb}[/{rest}]` and answer plain data; raises `ControlError` when it cannot be done."""
        name, _, rest = path.strip("/").partition("/")
        if not name:
            return self._help()
        if name not in self._verbs:
            raise ControlError(f"there is no {name!r} here; GET {PREFIX}/ lists what is")
        try:
            return self._verbs[name][1](ControlCall(method, rest, query or {}, body))
        except BadRule as error:
            raise ControlError(str(error)) from error

    def admits(self, request: Request) -> bool:
        return self._open_to_all or request.peer.startswith(_LOOPBACK)

    def answer(self, request: Request) -> Answer:
        if not self.admits(request):
            return json_answer({"error": "the control door answers this machine only"}, status=403)
        try:
            body = json.loads(request.body) if request.body.strip() else None
            path = request.path[len(PREFIX) :]
            return json_answer(self.call(request.method, path, request.query, body))
        except (ControlError, ValueError) as error:
            return json_answer({"error": str(error)}, status=400)

    def _help(self) -> dict[str, Any]:
        verbs = {f"{PREFIX}/{name}": text for name, (text, _) in self._verbs.items()}
        faults = {
            name: {"commits": fault.commits, "parameters": list(fault.parameters)}
            for name, fault in FAULTS.items()
        }
        return {"kind": self._dialect.kind, "verbs": verbs, "faults": faults}

    def _faults_verb(self, call: ControlCall) -> Any:
        if call.method == "POST":
            data = call.body.get("rules", call.body) if isinstance(call.body, dict) else call.body
            if isinstance(data, list):
                return [self._faults.add(rule).as_json() for rule in data]
            return self._faults.add(data).as_json()
        if call.method == "DELETE":
            return {"removed": self._faults.clear(int(call.rest) if call.rest else None)}
        return [rule.as_json() for rule in self._faults.rules()]

    def _requests_verb(self, call: ControlCall) -> Any:
        if call.method == "DELETE":
            self._log.clear()
            return {"removed": True}
        entries = self._log.since(int(call.query.get("since", 0)))
        limit = int(call.query.get("limit", len(entries)))
        return [entry.as_json() for entry in entries[:limit]]

    def _counts_verb(self, call: ControlCall) -> Any:
        if call.method == "DELETE":
            self._log.clear()
        return self._log.counts()

    def _seed_verb(self, call: ControlCall) -> Any:
        seed = call.body.get("seed") if isinstance(call.body, dict) else None
        if not isinstance(seed, int):
            raise ControlError('send {"seed": a whole number}')
        self._faults.reseed(seed)
        return {"seed": seed}

    def _reset_verb(self, call: ControlCall) -> Any:
        if call.method != "POST":
            raise ControlError("reset is a POST")
        self._before_reset()
        self._faults.clear()
        self._dialect.reset(call.body or {})
        self._log.clear()
        return {"reset": True}


class Control:
    """The control door for tests in the same process: plain calls in place of HTTP."""

    def __init__(self, door: ControlDoor) -> None:
        self._door = door

    def get(self, path: str, **query: Any) -> Any:
        return self._door.call("GET", path, {name.lower(): str(value) for name, value in query.items()})

    def post(self, path: str, body: Any = None) -> Any:
        return self._door.call("POST", path, {}, body)

    def delete(self, path: str) -> Any:
        return self._door.call("DELETE", path)

    def fault(
        self,
        fault: str,
        *,
        method: str | None = None,
        path: str | None = None,
        rate: float = 1.0,
        times: int | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Add a rule; `method` and `path` are regular expressions, `parameters` those of the fault."""
        match = {name: text for name, text in (("method", method), ("path", path)) if text}
        rule = {"fault": fault, "match": match, "rate": rate, "times": times, **parameters}
        added: dict[str, Any] = self.post("faults", rule)
        return added

    def clear_faults(self) -> None:
        self.delete("faults")

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("requests", since=since)
        return found

    def counts(self) -> dict[str, Any]:
        counted: dict[str, Any] = self.get("counts")
        return counted

    def journal(self, kind: str | None = None, since: int = -1) -> list[dict[str, Any]]:
        """Committed creations, optionally of one kind, and of requests after number `since`."""
        query = {"since": since} | ({"kind": kind} if kind else {})
        lines: list[dict[str, Any]] = self.get("journal", **query)
        return lines

    def tickets(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("tickets", **query)
        return found

    def agreements(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("agreements", **query)
        return found

    def technician(self, action: str, **body: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.post(f"technician/{action}", body)
        return done

    def role(self, **levels: Any) -> dict[str, Any]:
        role: dict[str, Any] = self.post("role", levels)
        return role

    def switches(self, **values: Any) -> dict[str, Any]:
        switches: dict[str, Any] = self.post("switches", values)
        return switches

    def rotate_keys(self, **keys: str) -> dict[str, str]:
        new: dict[str, str] = self.post("keys", keys)
        return new

    def seed(self, seed: int) -> None:
        self.post("seed", {"seed": seed})

    def reset(self, **options: Any) -> None:
        self.post("reset", options)
