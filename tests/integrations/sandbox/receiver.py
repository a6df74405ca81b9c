"""A subscriber that notes what it is told (asked by the tests of webhooks and callbacks)."""

import json
import threading

from integrations.sandbox.messages import Answer, Sending
from integrations.sandbox.server import HttpServer


class Receiver:
    """Takes calls and answers them with one status after the other; the last one stays."""

    def __init__(self):
        self.statuses = [200]
        self.calls = []
        self.arrived = threading.Condition()
        self.server = HttpServer(self.respond)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def respond(self, request):
        with self.arrived:
            self.calls.append(request)
            self.arrived.notify_all()
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Sending(Answer(status))

    def payloads(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= count, timeout=5), self.calls
            return [json.loads(call.body) for call in self.calls]
