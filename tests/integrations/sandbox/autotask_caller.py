"""A small Autotask client of the tests' own: they must not trust the product's adapter."""

import http.client
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from urllib.parse import quote, urlencode

from tests.integrations.sandbox.conftest import Reply

REST = "/ATServicesRest/V1.0"
BAKERY = 201
HARBOR = 202
CONTRACT = 401
STORAGE_LINE = 8001
STORAGE, SERVER, MAILBOX = 301, 302, 308
BACKUP_QUEUE, ALERTS_QUEUE = 29682834, 29682835
TICKET = {
    "title": "Backup failed",
    "companyID": BAKERY,
    "status": 1,
    "priority": 2,
    "queueID": BACKUP_QUEUE,
    "ticketCategory": 3,
    "dueDateTime": "2030-01-01T17:00:00Z",
}


def first_of_month():
    return datetime.now(UTC).date().replace(day=1)


def on(day: date):
    return day.isoformat()


@dataclass
class AutotaskCaller:
    """Says what it is told to say; every call is a connection of its own."""

    sandbox: object
    keys: dict
    headers: dict = field(default_factory=dict)

    def __call__(self, method, path, body=None, *, headers=None, timeout=5, **query):
        sent = {
            "UserName": self.keys["user_name"],
            "Secret": self.keys["secret"],
            "ApiIntegrationCode": self.keys["integration_code"],
            "Content-Type": "application/json",
            **self.headers,
            **(headers or {}),
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        path = path if path.lower().startswith(("/ats", "/__", "/zone7")) or path == "/" else REST + path
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

    def create(self, path, body):
        reply = self("POST", path, body)
        assert reply.status == 200, reply.body
        return reply.json["itemId"]

    def open_ticket(self, **fields):
        return self.create("/Tickets", {**TICKET, **fields})

    def get(self, entity, row_id):
        return self("GET", f"/{entity}/{row_id}").json["item"]

    def query(self, entity, *conditions, **more):
        reply = self("POST", f"/{entity}/query", {"filter": list(conditions), **more})
        assert reply.status == 200, reply.body
        return reply.json["items"]

    def errors(self, method, path, body):
        reply = self(method, path, body)
        assert reply.status == 500, reply.body
        return reply.json["errors"]

    def adjust(self, change, day, **fields):
        body = {"contractID": CONTRACT, "serviceID": STORAGE, "effectiveDate": on(day), "unitChange": change}
        return self("POST", "/ContractServiceAdjustments", {**body, **fields})

    def units(self, day, line=STORAGE_LINE):
        """The units of a contract service on a day, None when it has no row then."""
        rows = self.query("ContractServiceUnits", where("contractServiceID", line))
        on_day = [row for row in rows if row["startDate"][:10] <= on(day) <= row["endDate"][:10]]
        assert len(on_day) <= 1
        return on_day[0]["units"] if on_day else None


def where(name, value, op="eq", **more):
    return {"op": op, "field": name, "value": value, **more}
