"""Partners to measure with, and the events they send (asked by the benchmarks)."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.models import Notification, TicketSettings
from alerts.proving import load
from alerts.proving.stack import PretendPsa, Stack, wait_until
from integrations import choices, companies, connections
from integrations.connections import Entered
from integrations.models import Credentials, Delivery
from integrations.models.eventlog import UNSETTLED
from portal import clients, tokens
from portal.models import Client, Partner

_runs = itertools.count(1)
_MARK = re.compile(r"\[(\w+-\d+)\]")
COMPANY = "250"


@dataclass(frozen=True)
class Sender:
    """A partner with one client, connected to a pretend PSA, and its token."""

    partner: Partner
    client: Client
    credentials: Credentials
    token: str


@dataclass
class World:
    """Some partners of one pretend PSA, and a name for this measurement that goes into every summary."""

    stack: Stack
    psa: PretendPsa
    senders: Sequence[Sender]
    name: str

    @classmethod
    def of(cls, stack: Stack, *, partners: int = 1, psa: str = "psa-a", reset: bool = True) -> World:
        """New partners, connected as their Senior Managers would; their first ticket is open, their lanes are warm."""
        name = f"r{next(_runs)}x{int(time.time()) % 100_000}"
        pretend = stack.psas[psa]
        if reset:
            pretend.reset()
        world = cls(stack, pretend, [sender(f"{name}-{place}", pretend) for place in range(partners)], name)
        world.warm_up()
        return world

    def warm_up(self) -> None:
        """One ticket a partner: accounts exist, statements are prepared, sockets to the PSA stand."""
        warm = [self.post([self.event(f"warm{place}", place)], place) for place in range(len(self.senders))]
        for sample in load.run(self.stack.address, [load.Stream("warm-up", [*warm, *warm], 8)]):
            if sample.status != 202:
                raise RuntimeError(f"The warm-up was answered with {sample.status}")
        if self.stack.is_running("dispatcher"):
            self.settle()

    def event(self, key: object, place: int = 0, *, mark: str = "", **more: object) -> dict[str, object]:
        """An event of one partner, about 330 bytes; another `key` is another condition."""
        client = self.senders[place % len(self.senders)].client
        return {
            "source": "bench",
            "id": f"{self.name}-{key}",
            "type": "backup.failed",
            "severity": "error",
            "client": client.managed_id,
            "account": "SRV-01",
            "condition_key": f"backup:{self.name}:{key}",
            "summary": f"Backup of SRV-01 failed {mark or f'[{self.name}-{key}]'}",
            "details": "The volume shadow copy could not be created: not enough space on drive D.",
            "data": {"job": "nightly", "code": 4711},
            **more,
        }

    def post(self, events: Sequence[dict[str, object]], place: int = 0) -> bytes:
        body: dict[str, object] = events[0] if len(events) == 1 else {"events": list(events)}
        token = self.senders[place % len(self.senders)].token
        return load.post(self.stack.address, "/api/v1/events", token, body)

    def singles(self, count: int) -> list[bytes]:
        """One event a request, each a condition of its own, the partners in turn."""
        return [self.post([self.event(number, number)], number) for number in range(count)]

    def batches(self, count: int, size: int = 100) -> list[bytes]:
        """`count` events in requests of `size`, each event a condition of its own."""
        return [
            self.post(
                [self.event(f"{start + number}", start // size) for number in range(size)],
                start // size,
            )
            for start in range(0, count, size)
        ]

    # --- What came of it ------------------------------------------------------------------------------------------

    def received(self, *, committed: bool = False) -> dict[str, float]:
        """When the PSA got the (last) create of each event, by mark; seconds since 1970."""
        moments: dict[str, float] = {}
        for request in self.psa.requests():
            if is_create(request) and (request["committed"] or not committed):
                found = _MARK.search(request["body"])
                if found:
                    moments[found[1]] = datetime.fromisoformat(request["time"]).timestamp()
        return moments

    def latencies(self, samples: Sequence[load.Sample], *, committed: bool = False) -> list[float]:
        """Milliseconds from before each POST to the PSA's receipt of the create, for single events."""
        moments = self.received(committed=committed)
        marks = ((f"{self.name}-{sample.index}", sample) for sample in samples if sample.status == 202)
        return [(moments[mark] - sample.due_at) * 1000 for mark, sample in marks if mark in moments]

    def wait_for_creates(self, count: int, seconds: float) -> None:
        wait_until(
            lambda: self.psa.creates() >= count,
            seconds,
            f"{count} tickets",
            lambda: str(self.state()),
            pause=0.2,
        )

    def settle(self, seconds: float = 120) -> None:
        """Wait until nothing of these partners is on its way."""
        wait_until(
            lambda: not self.pending().exists(), seconds, "settling", lambda: str(self.state()), pause=0.2
        )

    def pending(self) -> Any:
        return Delivery.objects.filter(partner__in=self.partners(), status__in=UNSETTLED)

    def give_up(self, seconds: float = 120) -> None:
        """Forget what still waits, so that the next measurement is not disturbed; what runs is waited for."""

        def is_quiet() -> bool:
            self.pending().exclude(status="running").delete()
            return not self.pending().exists()

        wait_until(is_quiet, seconds, "giving up", lambda: str(self.state()), pause=0.5)

    def partners(self) -> list[Partner]:
        return [one.partner for one in self.senders]

    def state(self) -> Mapping[str, int]:
        rows = Delivery.objects.filter(partner__in=self.partners()).values_list(
            "status", "reason", "error_text"
        )
        found: dict[str, int] = {}
        for row in rows:
            text = " ".join(filter(None, row))
            found[text] = found.get(text, 0) + 1
        return found


def is_create(request: Mapping[str, Any]) -> bool:
    return bool(request["method"] == "POST" and request["path"].endswith("/service/tickets"))


def sender(name: str, psa: PretendPsa) -> Sender:
    partner = Partner.objects.create(name=name, slug=name)
    organization = clients.top_level(partner)
    client = clients.add_client(partner, name=f"Bakery Ott {name}")
    known = psa.call("GET", "credentials")
    entered = Entered(
        kind="connectwise",
        site_url=psa.url,
        login_company=known["company"],
        public_key=known["public_key"],
        secret=known["private_key"],
    )
    credentials = connections.save_credentials(organization, entered, by=None)
    choices.reload(credentials)
    companies.link_company(client, credentials, psa_company_id=COMPANY, name="Bakery Ott")
    Notification.objects.create(partner=partner, name="Tickets", action="ticket")
    board = credentials.choices.get(kind="board", name="Backup")
    TicketSettings.objects.create(
        partner=partner,
        organization=organization,
        board=board,
        new_status=credentials.choices.get(kind="status", name="New", within=board.psa_id),
        closing_status=credentials.choices.get(kind="status", name="Completed", within=board.psa_id),
    )
    token = tokens.issue_token("bench", partner=partner, scopes=["events:write"])[1]
    return Sender(partner, client, credentials, token)
