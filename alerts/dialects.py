"""Events as other tools write them: CloudEvents 1.0, PagerDuty Events API v2, Alertmanager (asked by the doors).

Each becomes an event object of ours, to be read by `alerts.incoming` like any other; no database. What has no place in
ours is kept in `data`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from alerts import incoming
from portal import clock

OURS = frozenset(incoming.KNOWN)
CLIENT_LABELS = ("client", "client_id", "psa_client", "customer")
DEVICE_LABELS = ("account", "device", "instance", "host", "hostname")
SEVERITIES = {
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "error": "error",
    "major": "error",
    "high": "error",
    "warning": "warning",
    "warn": "warning",
    "minor": "warning",
    "info": "info",
    "information": "info",
    "none": "info",
}


class Malformed(Exception):
    """The message as a whole is not what its format asks for; the text says how."""


# --- CloudEvents ------------------------------------------------------------------------------------------------------

CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"


def of_cloud_event(message: Any) -> Any:
    """CloudEvents 1.0, structured mode. `client`, `severity`, `summary` and our other fields stand in `data` or are
    extension attributes; `subject` is the account unless one is given. Something that is no object comes back as it is,
    to be refused like one of ours."""
    if not isinstance(message, dict):
        return message
    data = message.get("data")
    given = dict(data) if isinstance(data, dict) else {} if data is None else {"value": data}
    ours = {name: given.pop(name) for name in OURS - {"source", "id", "type"} if name in given}
    for name in ("client", "severity", "summary", "account", "action"):
        if name in message:
            ours.setdefault(name, message[name])
    if message.get("subject") is not None:
        ours.setdefault("account", message["subject"])
        ours.setdefault("summary", message["subject"])
    inner = ours.pop("data", None)
    if isinstance(inner, dict):
        given = {**given, **inner}
    item = {**ours, "source": message.get("source"), "id": message.get("id"), "type": message.get("type")}
    if message.get("time") is not None:
        item["occurred_at"] = message["time"]
    return {**item, "data": given} if given else item


def check_cloud_event(message: Any) -> str:
    """Why this is no CloudEvent of version 1.0; empty when it is one."""
    if isinstance(message, dict) and message.get("specversion") != "1.0":
        return "“specversion” must be “1.0”."
    if isinstance(message, dict) and "data_base64" in message:
        return "“data_base64” is not read; send “data” as JSON."
    return ""


# --- PagerDuty Events API v2 ------------------------------------------------------------------------------------------

PAGER_ACTIONS = {"trigger": "trigger", "resolve": "resolve", "acknowledge": ""}


def of_pagerduty(message: Mapping[str, Any], *, client: str, key: str) -> dict[str, Any]:
    """An event of ours. `client` is what the routing key named, else `payload.custom_details.client` or
    `payload.group` says it; `key` is the dedup key, which becomes the condition key.

    Raises Malformed when `event_action` or `payload` is not what the format asks for.
    """
    action = message.get("event_action")
    if not isinstance(action, str) or action not in PAGER_ACTIONS:
        raise Malformed("“event_action” must be trigger, acknowledge or resolve.")
    payload = message.get("payload")
    if payload is None and action != "trigger":
        payload = {}
    if not isinstance(payload, dict):
        raise Malformed("“payload” must be an object with summary, source and severity.")
    details = payload.get("custom_details")
    labels = details if isinstance(details, dict) else {}
    word = payload.get("severity", "info" if action == "acknowledge" else "error")
    item: dict[str, Any] = {
        "source": "pagerduty",
        "type": payload.get("class") or "alert",
        "severity": SEVERITIES.get(word, word) if isinstance(word, str) else word,
        "client": client or first_of(labels, CLIENT_LABELS) or payload.get("group"),
        "condition_key": key,
        "summary": payload.get("summary") or (f"{action} of {key}" if action != "trigger" else None),
        "details": lines_of({"Links": message.get("links"), "From": message.get("client_url")}, details),
        "data": {
            name: payload[name]
            for name in ("component", "group", "class", "custom_details")
            if name in payload
        },
    }
    if payload.get("source"):
        item["account"] = payload["source"]
    if action == "acknowledge":
        item |= {"type": "acknowledged", "severity": "info"}
    else:
        item["action"] = action
    if payload.get("timestamp"):
        item["occurred_at"] = payload["timestamp"]
    # With a moment of its own a repeated call is the same event; without one each call is an event.
    unique = digest(message) if payload.get("timestamp") else clock.new_id().hex
    return {**item, "id": f"{key[:150]}:{unique}"}


# --- Alertmanager -----------------------------------------------------------------------------------------------------


def of_alertmanager(message: Any, *, client: str) -> list[Any]:
    """The events of one webhook call (version 4), one an alert. `client` is what the address named; else a label does:
    `client`, `client_id`, `psa_client` or `customer`.

    Alertmanager repeats itself while an alert fires: the same alert in the same state is the same event. Raises
    Malformed when there is no list of alerts.
    """
    alerts = message.get("alerts") if isinstance(message, dict) else None
    if not isinstance(alerts, list):
        raise Malformed("“alerts” must be a list, as Alertmanager's webhook (version 4) sends it.")
    return [of_alert(alert, message, client) if isinstance(alert, dict) else alert for alert in alerts]


def of_alert(alert: Mapping[str, Any], message: Mapping[str, Any], client: str) -> dict[str, Any]:
    labels = object_of(alert, "labels")
    notes = object_of(alert, "annotations")
    is_firing = alert.get("status", message.get("status")) != "resolved"
    fingerprint = alert.get("fingerprint") or digest(labels)
    name = labels.get("alertname") or "alert"
    word = str(labels.get("severity", "error")).lower()
    item: dict[str, Any] = {
        "source": "alertmanager",
        "type": name,
        "severity": SEVERITIES.get(word, "error"),
        "action": "trigger" if is_firing else "resolve",
        "client": client or first_of(labels, CLIENT_LABELS),
        "condition_key": f"alertmanager:{fingerprint}",
        "summary": notes.get("summary") or notes.get("title") or name,
        "details": lines_of(
            {
                "Description": notes.get("description"),
                "Runbook": notes.get("runbook_url"),
                "Source": alert.get("generatorURL"),
            },
            labels,
        ),
        "data": {"labels": labels, "annotations": notes},
    }
    if (device := first_of(labels, DEVICE_LABELS)) is not None:
        item["account"] = device
    at = incoming.parsed(alert.get("startsAt" if is_firing else "endsAt"))
    # An alert that has been firing for more than a year is still an alert.
    if at is not None and at > clock.now() - incoming.BEHIND + timedelta(days=1):
        item["occurred_at"] = at.isoformat()
    return {**item, "id": f"{str(fingerprint)[:100]}:{digest([item, alert.get('startsAt')])}"}


# --- What they share --------------------------------------------------------------------------------------------------


def object_of(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    return value if isinstance(value, dict) else {}


def first_of(labels: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first label that says something; a number counts as its text."""
    for name in names:
        value = labels.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def lines_of(named: Mapping[str, Any], details: Any) -> str:
    """What a technician reads below the summary."""
    lines = [f"{name}: {written(value)}" for name, value in named.items() if value]
    if isinstance(details, dict):
        lines += [f"{name}: {written(value)}" for name, value in details.items()]
    elif details:
        lines.append(written(details))
    return "\n".join(lines)


def written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, sort_keys=True)


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
