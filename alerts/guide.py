"""How far is a connection set up, step by step, and what is next (asked by the guided set-up's pages).

A step is done when the tables say so, never because somebody pressed a button: it can be left and taken up at any time,
by anybody, and a step that comes undone is open again.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from django.db import transaction
from django.urls import reverse

from alerts import connectionfacts, notifications, tickettest
from alerts import setup as ticketsetup
from alerts.connectionfacts import Facts, PartnerFacts
from alerts.models import GuidedSetup, TicketSettings, TicketTest
from billing import preview
from billing.decisions import Refused
from billing.models import AgreementLink
from integrations import doctor, suggestions
from integrations.models import Choice, Credentials, Reload
from portal import background, clock
from portal.models import Client, Organization, StepRemark

State = Literal["done", "next", "open", "busy", "left out"]
LEAVABLE = ("test_ticket", "products", "agreements", "preview")
"""Steps that somebody may leave out: who has no billing here needs no agreements."""
NEEDS: dict[str, tuple[str, ...]] = {
    "test": ("keys",),
    "options": ("test",),
    "mapping": ("options",),
    "tickets": ("options",),
    "test_ticket": ("test", "mapping", "tickets"),
    "products": ("options",),
    "agreements": ("mapping",),
    "preview": ("products", "agreements"),
}
CLEAR = 90
"""Suggestions from this score are offered for accepting together."""
JOB = "alerts.jobs.first_preview"
LOST_AFTER = timedelta(minutes=3)
MOST_CLIENTS = 50


@dataclass(frozen=True)
class Step:
    """One line: its state, the fact that decided it, and where to go.

    `do` is what the page's button asks for (`ACTS`), empty when the step is done on another page.
    """

    key: str
    title: str
    state: State
    fact: str
    url: str = ""
    link: str = ""
    do: str = ""
    button: str = ""
    details: Sequence[str] = ()

    @property
    def may_be_left_out(self) -> bool:
        return self.key in LEAVABLE and self.state != "done"

    @property
    def is_settled(self) -> bool:
        return self.state in ("done", "left out")


@dataclass(frozen=True)
class Probe:
    """What a step's facts say: is it done, is it under way, and the sentence."""

    key: str
    title: str
    is_done: bool
    fact: str
    url: str = ""
    link: str = ""
    do: str = ""
    button: str = ""
    details: Sequence[str] = ()
    is_busy: bool = False


@dataclass(frozen=True)
class Guide:
    """One connection's way, and how far it is."""

    facts: Facts
    steps: Sequence[Step]
    row: GuidedSetup | None

    @property
    def next(self) -> Step | None:
        return next((step for step in self.steps if step.state in ("next", "busy")), None)

    @property
    def done(self) -> int:
        return sum(step.state == "done" for step in self.steps)

    @property
    def is_over(self) -> bool:
        return all(step.is_settled for step in self.steps)

    @property
    def is_busy(self) -> bool:
        return any(step.state == "busy" for step in self.steps)


def guides_of(found: PartnerFacts) -> list[Guide]:
    """Every connection of a partner; each costs a few queries more than its facts did."""
    return [guide_of(facts, found) for facts in found.connections]


def guide_of(facts: Facts, found: PartnerFacts) -> Guide:
    row = GuidedSetup.objects.filter(credentials=facts.row).first()
    probes = [
        keys(facts),
        test(facts),
        options(facts),
        mapped(facts),
        tickets(facts),
        rule(found),
        test_ticket(facts),
        products(facts),
        agreements(facts),
        first_preview(facts, row),
    ]
    return Guide(facts, in_order(probes, set(row.left_out) if row else set()), row)


def in_order(probes: Sequence[Probe], left_out: Collection[str]) -> list[Step]:
    """The first one that is open and possible is the next; what needs an earlier one waits for it."""
    done = {probe.key for probe in probes if probe.is_done}
    settled = done | set(left_out)
    has_next = False
    steps = []
    for probe in probes:
        state: State = "open"
        if probe.is_done:
            state = "done"
        elif probe.key in left_out:
            state = "left out"
        elif probe.is_busy:
            state, has_next = "busy", True
        elif not has_next and all(key in settled for key in NEEDS.get(probe.key, ())):
            state, has_next = "next", True
        steps.append(
            Step(
                probe.key,
                probe.title,
                state,
                probe.fact,
                probe.url,
                probe.link,
                probe.do if state == "next" else "",
                probe.button,
                probe.details,
            )
        )
    return steps


# --- What decides each step ------------------------------------------------------------------------------------------


def place(row: Credentials, anchor: str = "") -> str:
    level = "client" if row.client_id else "organization"
    return reverse("credentials_of", args=[level, row.client_id or row.organization_id]) + anchor


def settings_page(row: Credentials) -> str:
    name = "setup_of" if isinstance(row.level, Organization) else "client_settings"
    return reverse(name, args=[row.level.pk])


def keys(facts: Facts) -> Probe:
    row = facts.row
    has_keys = bool(row.site_url and row.secret_fingerprint)
    fact = f"{row.get_kind_display()} at {row.site_url}." if has_keys else "The keys are not entered yet."
    return Probe("keys", "Choose the PSA and enter its keys", has_keys, fact, place(row), "PSA Credentials")


def test(facts: Facts) -> Probe:
    """Also asks for the lane: keys that were refused since are not tested keys."""
    row, lane = facts.row, facts.lane
    asked, tested = row.test_asked_at, row.tested_at
    is_open = asked is not None and (tested is None or tested < asked)
    is_busy = bool(is_open and asked is not None and clock.now() - asked < LOST_AFTER)
    is_done = row.test_passed is True and not lane.blocked and lane.breaker != "sign_in_refused"
    if is_busy:
        fact = "The connection is being tested."
    elif is_done:
        fact = "Every right that is needed was found."
    elif row.test_passed is False:
        fact = "The last test found something missing. Give the PSA’s administrator the work order, then test again."
    elif row.test_passed:
        fact = f"It passed, but the PSA refuses now: {lane.breaker_text or ', '.join(sorted(lane.blocked))}"
    else:
        fact = "Not tested since the keys were entered."
    wrong = [check for check in doctor.report_of(row) if check.verdict == "failed"] if not is_busy else []
    return Probe(
        "test",
        "Test It",
        is_done,
        fact,
        place(row, "#test"),
        "All verdicts",
        "test",
        "Test It",
        [f"{check.name}: {check.fix or check.detail}" for check in wrong] if not is_done else [],
        is_busy,
    )


def options(facts: Facts) -> Probe:
    newest = Reload.objects.filter(credentials=facts.row).order_by("-asked_at", "-id").first()
    is_busy = newest is not None and newest.state in (Reload.State.WAITING, Reload.State.RUNNING)
    has_read = facts.options_read_at is not None
    if is_busy and not has_read and newest is not None:
        fact = f"{newest.read} options read so far."
    elif has_read:
        fact = "Boards, companies and products are copied."
        if facts.options_trouble:
            fact += f" {facts.options_trouble} lists could not be read the last time."
    elif newest is not None and newest.error_text:
        fact = f"{newest.error_text} {newest.advice}".strip()
    else:
        fact = "Nothing is read yet: without it no picker has anything to offer."
    return Probe(
        "options",
        "Read the options of the PSA",
        has_read,
        fact,
        reverse("options_of", args=[facts.row.pk]),
        "All options",
        "reload",
        "Reload Options from PSA",
        (),
        is_busy and not has_read,
    )


def mapped(facts: Facts) -> Probe:
    url = reverse("mapping", args=[facts.row.pk])
    title = "Map clients to PSA companies"
    if not facts.clients:
        fact = (
            "There is no client yet. Make them from the PSA’s companies, or wait for the first event of one."
        )
        return Probe(
            "mapping", title, False, fact, reverse("mapping_companies", args=[facts.row.pk]), "PSA companies"
        )
    if not facts.unmapped and facts.mapped:
        fact = f"All {facts.clients} clients are decided, {facts.mapped} of them mapped."
        return Probe("mapping", title, True, fact, url, "Company Mapping")
    clear = suggestions.clear_ones(facts.row, least=CLEAR).count()
    fact = f"{facts.unmapped} of {facts.clients} clients are unmapped."
    if not facts.unmapped:
        fact = f"All {facts.clients} clients are skipped; no ticket can be opened for any."
    if clear:
        fact += f" For {clear} of them there is one clear suggestion."
        return Probe(
            "mapping", title, False, fact, url, "Company Mapping", "accept", f"Show {clear} suggestions"
        )
    return Probe(
        "mapping", title, False, fact, f"{url}?{urlencode({'show': 'unmapped'})}", "Unmapped clients", "suggest",
        "Look for suggestions",
    )  # fmt: skip


def ticket_choices(facts: Facts) -> tuple[list[str], list[str]]:
    """Which of board and statuses nobody has chosen, and the names of those that are no longer in the PSA."""
    chosen = {"board": facts.board, "new_status": facts.new_status, "closing_status": facts.closing_status}
    missing = [name for name, value in chosen.items() if value is None]
    gone = [value.name for value in chosen.values() if value is not None and value.vanished_at is not None]
    return missing, gone


def tickets(facts: Facts) -> Probe:
    missing, gone = ticket_choices(facts)
    chosen = (facts.board, facts.new_status, facts.closing_status)
    labels = [ticketsetup.label(name, facts.row) for name in missing]
    url = settings_page(facts.row)
    title = "Say how tickets look"
    if gone:
        fact = f"No longer in the PSA: {', '.join(gone)}. Choose another."
        return Probe("tickets", title, False, fact, url, "Ticket settings")
    if not missing:
        names = " → ".join(value.name for value in chosen if value is not None)
        return Probe("tickets", title, True, f"{names}.", url, "Ticket settings")
    found = defaults(facts.row)
    details = [f"{ticketsetup.label(name, facts.row)}: {value.name}" for name, value in found.items()]
    fact = f"Not chosen yet: {', '.join(labels)}."
    if "board" not in found or (len(missing) == len(chosen) and len(found) < len(chosen)):
        return Probe("tickets", title, False, fact, url, "Ticket settings")
    fact += " These would be a good beginning:"
    return Probe(
        "tickets", title, False, fact, url, "Choose others", "defaults", "Use these settings", details
    )


def rule(found: PartnerFacts) -> Probe:
    is_done = bool(found.ticket_rules)
    fact = (
        f"{found.ticket_rules} notification{'s' if found.ticket_rules != 1 else ''} may open tickets."
        if is_done
        else "Without one, events are kept in the Event Log and no ticket is opened."
    )
    return Probe(
        "rule",
        "A first notification",
        is_done,
        fact,
        reverse("notifications"),
        "Partner Notifications",
        "rule",
        "Open tickets for warnings and errors",
    )


def test_ticket(facts: Facts) -> Probe:
    newest = (
        TicketTest.objects.filter(credentials=facts.row)
        .select_related("client")
        .order_by("-asked_at")
        .first()
    )
    is_busy = newest is not None and newest.state in (TicketTest.State.WAITING, TicketTest.State.RUNNING)
    is_busy = is_busy and newest is not None and clock.now() - newest.asked_at < tickettest.LOST_AFTER
    passed, keys_at = facts.test_passed_at, facts.row.secret_set_at
    is_done = passed is not None and not (facts.test_failed_at and facts.test_failed_at > passed)
    is_done = is_done and not (passed and keys_at and keys_at > passed)
    details: list[str] = []
    if is_busy:
        fact = "A test ticket is being opened and closed."
    elif is_done:
        fact = "A test ticket was opened, read, closed and found closed."
    elif newest is not None and newest.state == TicketTest.State.FAILED:
        fact = f"The last one, for {newest.client}, did not work."
        details = [f"{one['text']} {one['advice']}".strip() for one in newest.steps if not one["is_fine"]]
    else:
        fact = "Opens a ticket in the PSA with the settings above, reads it, closes it, and looks that it is closed."
    url = reverse("client_settings", args=[newest.client_id]) + "#test-ticket" if newest else ""
    return Probe(
        "test_ticket", "A test ticket that cleans up", is_done, fact, url, "The last test ticket", "test_ticket",
        "Open and close a test ticket", details, is_busy,
    )  # fmt: skip


def products(facts: Facts) -> Probe:
    is_done = facts.products > 0 and not facts.gone
    fact = (
        f"{facts.products} service{'s have' if facts.products != 1 else ' has'} a product of this PSA."
        if facts.products
        else "No service has a product of this PSA: usage is kept, and no quantity is pushed."
    )
    if facts.products and facts.gone:
        fact += f" But choices in use that are no longer in the PSA: {facts.gone}."
    level = facts.row.level
    kind = "client" if facts.row.client_id else "organization"
    return Probe(
        "products",
        "Cross-references: services and products",
        is_done,
        fact,
        reverse("cross_references_of", args=[kind, level.pk]),
        "Cross-references",
    )


def agreements(facts: Facts) -> Probe:
    is_done = facts.linked > 0
    fact = (
        f"{facts.linked} of {facts.mapped} mapped clients have an agreement."
        if facts.linked
        else "No client has an agreement yet: open a client’s tab Agreement and choose one."
    )
    url, link = reverse("clients"), "Clients"
    first = connectionfacts.mapped_clients(facts.row, 1)
    if not is_done and first:
        url, link = reverse("client_agreement", args=[first[0].pk]), f"Agreement of {first[0].name}"
    return Probe("agreements", "Agreements", is_done, fact, url, link)


def first_preview(facts: Facts, row: GuidedSetup | None) -> Probe:
    asked = row.preview_asked_at if row else None
    done_at = row.preview_done_at if row else None
    is_open = asked is not None and (done_at is None or done_at < asked)
    is_busy = bool(is_open and asked is not None and clock.now() - asked < LOST_AFTER)
    keys_at = facts.row.secret_set_at
    is_done = (
        bool(row and row.preview_passed) and not is_busy and not (done_at and keys_at and keys_at > done_at)
    )
    fact = "Asks the PSA what would be written for one client. Nothing is written."
    if is_busy:
        fact = "The PSA is being asked; nothing is written."
    elif is_open:
        fact = "A preview was asked for and nobody carried it out. The worker seems not to run."
    elif row and row.preview_text:
        fact = row.preview_text
    url = reverse("client_preview", args=[row.preview_client_id]) if row and row.preview_client_id else ""
    return Probe(
        "preview",
        "A first preview",
        is_done,
        fact,
        url or reverse("billing_preview"),
        "Preview",
        "preview",
        "Ask for a preview",
        (),
        is_busy,
    )


# --- Ticket settings to begin with -----------------------------------------------------------------------------------

LIKELY = (
    "backup",
    "monitor",
    "alert",
    "managed service",
    "rmm",
    "noc",
    "service desk",
    "help desk",
    "service",
)
OPEN_WORDS = ("new",)
CLOSED_WORDS = ("complete", "closed", "resolved")
MIDDLE = ("medium", "normal", "priority 3")


def defaults(row: Credentials) -> dict[str, Choice]:
    """Board, statuses and, where the PSA asks for one, a priority, as most MSPs have them; fewer when in doubt."""
    offered = ticketsetup.setup_of(row.level).offered
    is_boardless = row.kind == "autotask"
    for board in by_likeness(offered.get("board", []), LIKELY):
        opening, closing = (
            by_likeness([one for one in offered[name] if is_boardless or one.within == board.psa_id], words)
            for name, words in (("new_status", OPEN_WORDS), ("closing_status", CLOSED_WORDS))
        )
        if opening and closing:
            found = {"board": board, "new_status": opening[0], "closing_status": closing[0]}
            priorities = by_likeness(offered.get("priority", []), MIDDLE)
            if is_boardless and priorities:
                found["priority"] = priorities[0]
            return found
    return {}


def by_likeness(rows: Sequence[Choice], words: Sequence[str]) -> list[Choice]:
    """What has a likely name first, the likeliest word before others; then the PSA's own default, then by name."""

    def rank(row: Choice) -> tuple[int, bool, str]:
        name = row.name.lower()
        place = next((number for number, word in enumerate(words) if word in name), len(words))
        return place, not row.data.get("default"), name

    return sorted(rows, key=rank)


# --- What the buttons do ---------------------------------------------------------------------------------------------


def use_defaults(row: Credentials, *, by: str) -> TicketSettings | None:
    """Save them where the connection is set; what a level says already stays. Raises ValidationError."""
    found: dict[str, Any] = dict(defaults(row))
    return ticketsetup.change_ticket_settings(row.level, found, by=by) if found else None


def add_rule(facts: PartnerFacts, *, by: str) -> bool:
    """False when one is there already."""
    if facts.ticket_rules:
        return False
    notifications.add_tickets(facts.partner, by=by)
    return True


def ask_preview(row: Credentials, *, by: str) -> Client | None:
    """Have the worker look what would be written for the first client with an agreement; None when there is none."""
    link = AgreementLink.objects.filter(credentials=row, client__is_active=True).select_related("client")
    first = link.order_by("client__name", "pk").first()
    if first is None:
        return None
    with transaction.atomic():
        GuidedSetup.objects.update_or_create(
            credentials=row,
            defaults={"preview_client": first.client, "preview_asked_at": clock.now()},
            create_defaults={
                "partner_id": row.partner_id,
                "preview_client": first.client,
                "preview_asked_at": clock.now(),
                "begun_by": by[:254],
            },
        )
        background.enqueue(JOB, str(row.pk))
    client: Client = first.client
    return client


def carry_out_preview(credentials_id: str) -> None:
    """The real thing, for one client: reads the PSA, plans, keeps what it said. Writes nothing to the PSA."""
    row = GuidedSetup.objects.select_related(
        "preview_client__organization", "preview_client__partner"
    ).filter(credentials=uuid.UUID(credentials_id))
    setup = row.first()
    if setup is None or setup.preview_client is None:
        return
    client = setup.preview_client
    try:
        found = preview.of_client(client)
        has_passed, text = bool(found.agreements), told(client, found)
    except Refused as refusal:
        has_passed, text = False, f"{client.name}: {refusal.text}"
    GuidedSetup.objects.filter(pk=setup.pk, preview_client=client).update(
        preview_done_at=clock.now(), preview_passed=has_passed, preview_text=text
    )


def told(client: Client, found: preview.Preview) -> str:
    if not found.agreements:
        why = (
            found.withheld[0].text
            if found.withheld
            else "No usage was received yet, so there is nothing to push."
        )
        return f"{client.name}: nothing could be planned. {why}"
    held = sum(len(one.guarded.held) for one in found.agreements)
    text = f"{client.name}: {found.writes} lines would be written"
    return f"{text}, {held} held for an answer." if held else f"{text}."


def leave_out(row: Credentials, key: str, *, by: str) -> bool:
    """Leave a step out, or take it in again; False for steps that everything else rests on."""
    if key not in LEAVABLE:
        return False
    with transaction.atomic():
        setup, _ = GuidedSetup.objects.get_or_create(
            credentials=row, defaults={"partner_id": row.partner_id, "begun_by": by[:254]}
        )
        setup = GuidedSetup.objects.select_for_update().get(pk=setup.pk)
        left = [name for name in setup.left_out if name != key]
        setup.left_out = left if key in setup.left_out else [*left, key]
        setup.save(update_fields=["left_out"])
    return True


def remark(row: Credentials, step: Step, text: str, *, by: str) -> StepRemark:
    """Keep for staff that a step did not match somebody's PSA."""
    place = f"Guided Set-up, {row.get_kind_display()} of {row.level}"[:200]
    said: StepRemark = StepRemark.objects.create(
        partner_id=row.partner_id, place=place, step=step.title, text=text, said_by=by[:254]
    )
    return said
