"""Control verbs that both pretend PSAs have: role, keys, switches, technician, journal."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

from integrations.sandbox.dialect import ControlCall, ControlError, Verb

Record = dict[str, Any]


class Psa(Protocol):
    """What a dialect offers to these verbs."""

    settings: Any
    store: Any

    def change_settings(self, settings: Any) -> None: ...

    def credentials(self) -> dict[str, str]: ...


class SharedVerbs:
    """`changed` makes a role with other levels; `act` carries out one technician action by its name."""

    def __init__(
        self,
        psa: Psa,
        *,
        changed: Callable[[Any, Mapping[str, Any]], Any],
        actions: Mapping[str, Callable[..., Any]],
        act: Callable[[str, dict[str, Any]], Any],
    ) -> None:
        self._psa = psa
        self._changed = changed
        self._actions = actions
        self._act = act

    def verbs(self) -> Mapping[str, tuple[str, Verb]]:
        actions = "|".join(self._actions)
        return {
            "role": ('GET the role; POST {"area": "None"} or {"area": {"right": "None"}}', self.role),
            "keys": ("GET the keys; POST {} for new ones, or the ones to have", self.keys),
            "switches": ("GET the switches for unsure facts and limits; POST some of them", self.switches),
            "technician": (f"POST technician/{{{actions}}}", self.technician),
            "journal": ("GET [?kind=ticket&since=N]: committed creations in order", self.journal),
        }

    def role(self, call: ControlCall) -> Any:
        if call.method == "POST":
            settings = self._psa.settings
            changed = tried(lambda given: self._changed(settings.role, given), call.body)
            self._psa.change_settings(replace(settings, role=changed))
        return self._psa.settings.role

    def keys(self, call: ControlCall) -> Any:
        if call.method == "POST":
            self._psa.change_settings(tried(self._psa.settings.with_keys, call.body))
        return self._psa.credentials()

    def switches(self, call: ControlCall) -> Any:
        if call.method == "POST":
            self._psa.change_settings(tried(self._psa.settings.with_switches, call.body))
        return asdict(self._psa.settings.switches)

    def technician(self, call: ControlCall) -> Any:
        if call.method != "POST" or call.rest not in self._actions:
            raise ControlError(f"POST one of: {', '.join(self._actions)}")
        with self._psa.store.lock:
            return self._act(call.rest, object_of(call.body))

    def journal(self, call: ControlCall) -> list[Record]:
        kind, since = call.query.get("kind"), int(call.query.get("since", -1))
        with self._psa.store.lock:
            lines = list(self._psa.store.journal)
        return [one for one in lines if kind in (None, one["kind"]) and (one["request"] or 0) > since]


def by_id(table: Any, row_id: str | None) -> Iterable[Record]:
    """The rows of a table, or the one that is named."""
    if row_id is None:
        return list(table.rows.values())
    found = table.rows.get(int(row_id)) if row_id.isdigit() else None
    return [found] if found else []


def object_of(body: Any) -> dict[str, Any]:
    if body is not None and not isinstance(body, dict):
        raise ControlError("send a JSON object")
    return body or {}


def tried(change: Callable[[Mapping[str, Any]], Any], body: Any) -> Any:
    """What a change makes of the body; its refusal becomes one of the control door."""
    try:
        return change(object_of(body))
    except ValueError as error:
        raise ControlError(str(error)) from error
