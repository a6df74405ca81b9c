"""A running sandbox and a small client of the tests' own: they must not trust the product's adapter."""

import base64
import http.client
import json
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import pytest

from integrations.sandbox import running_sandbox

REST = "/v4_6_release/apis/3.0"
BAKERY = 250
BACKUP_BOARD = 2


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Caller:
    """Says what it is told to say; every call is a connection of its own."""

    sandbox: object
    keys: dict
    headers: dict = field(default_factory=dict)

    def __call__(self, method, path, body=None, *, headers=None, timeout=5, **query):
        pair = f"{self.keys['company']}+{self.keys['public_key']}:{self.keys['private_key']}"
        sent = {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "clientId": self.keys["client_id"],
            "Content-Type": "application/json",
            **self.headers,
            **(headers or {}),
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        path = path if path.startswith(("/v", "/login", "/__", "/V")) or path == "/" else REST + path
        target = path + ("?" + urlencode(query, quote_via=quote) if query else "")
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=timeout)
        try:
            payload = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, target, payload, sent)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())
        finally:
            connection.close()

    def raw(self, target):
        """A page for people, as text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=5)
        try:
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def open_ticket(self, **fields):
        wanted = {
            "summary": "Backup failed",
            "company": {"id": BAKERY},
            "board": {"id": BACKUP_BOARD},
            **fields,
        }
        reply = self("POST", "/service/tickets", wanted)
        assert reply.status == 201, reply.body
        return reply.json

    def status(self, name, board=BACKUP_BOARD):
        rows = self("GET", f"/service/boards/{board}/statuses", pageSize=100).json
        return next(row for row in rows if row["name"] == name)

    def patch(self, path, *operations):
        body = [{"op": op, "path": where, "value": value} for op, where, value in operations]
        return self("PATCH", path, body)


@pytest.fixture(scope="session")
def running():
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.control.reset()
    return running


@pytest.fixture
def call(sandbox):
    return Caller(sandbox, sandbox.dialect.credentials())


@pytest.fixture(scope="session")
def running_autotask():
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture
def autotask(running_autotask):
    running_autotask.control.reset()
    return running_autotask
