"""Webhook calls on their way: signed, in order for each webhook, tried again, logged when they fail for good.

Autotask REST v1.0, webhook error handling: 2xx within ten seconds is success; else again every 30 seconds, five
attempts in all; 25 failed events in a row switch the webhook off, which its deactivation URL is told.
"""

import http.client
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.webhooks import Call, body_of, signature

KEPT = 1000
_LONGEST_PAYLOAD = 8000


class Deliveries:
    """A thread for each webhook that has something to say."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._waiting: dict[tuple[str, int], queue.SimpleQueue[Call]] = {}
        self._failures: Counter[tuple[str, int]] = Counter()
        self._open = 0
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def send(self, calls: Iterable[Call]) -> None:
        for call in calls:
            key = (call.table, call.webhook)
            with self._guard:
                self._open += 1
                waiting = self._waiting.get(key)
                if waiting is None:
                    waiting = self._waiting[key] = queue.SimpleQueue()
                    name = f"sandbox-{call.table}-{call.webhook}"
                    threading.Thread(target=self._work, args=(waiting,), name=name, daemon=True).start()
            waiting.put(call)

    @property
    def pending(self) -> int:
        return self._open

    def stop(self) -> None:
        self._stopping.set()

    def _work(self, waiting: "queue.SimpleQueue[Call]") -> None:
        while not self._stopping.is_set():
            try:
                call = waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._deliver(call)
            finally:
                with self._guard:
                    self._open -= 1

    def _deliver(self, call: Call) -> None:
        switches = self._desk().switches
        problem: str | None = "not tried"
        attempts = 0
        while problem and attempts < max(switches.webhook_attempts, 1):
            if attempts and self._stopping.wait(switches.webhook_retry_seconds):
                return
            attempts += 1
            headers = {"X-Hook-Signature": signature(call.secret, call.body)}
            problem = _posted(call.url, call.body, headers, switches.webhook_timeout_seconds)
        if self._stopping.is_set():
            return
        done = {
            "table": call.table,
            "webhook": call.webhook,
            "sequence": call.sequence,
            "action": call.action,
        }
        self.log.append({**done, "id": call.row, "attempts": attempts, "problem": problem})
        self._account(call, problem)

    def _account(self, call: Call, problem: str | None) -> None:
        key = (call.table, call.webhook)
        if problem is None:
            self._failures[key] = 0
            return
        self._failures[key] += 1
        desk = self._desk()
        with desk.store.lock:
            _write_error(desk, call, problem)
            off = self._failures[key] >= desk.switches.webhook_failures_until_off
            webhook = desk.store.get(call.table, call.webhook)
            if off and webhook and webhook.get("isActive"):
                desk.store.put(call.table, {**webhook, "isActive": False})
            desk.store.commit()
        if off and webhook and webhook.get("isActive"):
            body = body_of(
                {"Action": "Deactivated", "Guid": webhook["webhookGUID"], "EventTime": desk.now() + "Z"}
            )
            _posted(webhook["deactivationUrl"], body, {}, desk.switches.webhook_timeout_seconds)


def _write_error(desk: Desk, call: Call, problem: str) -> None:
    columns = {"CompanyWebhooks": "accountWebhookID", "ContactWebhooks": "contactWebhookID"}
    line = {
        "id": desk.store.new_id("WebhookEventErrorLogs"),
        columns.get(call.table, "_webhookID"): call.webhook,
        "sequenceNumber": call.sequence,
        "payload": call.body.decode()[:_LONGEST_PAYLOAD],
        "errorMessage": problem,
        "createDateTime": desk.now(),
    }
    desk.store.put("WebhookEventErrorLogs", line)


def _posted(url: str, body: bytes, headers: dict[str, str], timeout: float) -> str | None:
    """POST it; None when that went well, else what went wrong."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = connect(parts.hostname or "", parts.port, timeout=timeout)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, {"Content-Type": "application/json", **headers})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None if 200 <= status < 300 else f"the subscriber answered {status}"
