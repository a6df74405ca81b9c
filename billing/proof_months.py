"""Demonstrations of reconciliation and evidence, at a pretend ConnectWise and the database at hand (asked by proofs).

Each answers whether it held, and its figures.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from django.db.models import F

from billing import evidence, evidencepdf, months, preview, readings
from billing.models import CrossReference, EvidencePack, MonthNumbers, PushItem, PushRun, Usage
from billing.monthfacts import Month
from billing.proof_world import Billed, billed, pass_time
from integrations.models import CompanyLink
from integrations.psa.errors import PsaError
from integrations.sandbox import running_sandbox
from portal import clock
from portal.models import Client

Shown = tuple[bool, str]
HANDS = ("use", "use", "sync", "sync", "by hand", "included", "fail", "mode", "tick")


# --- Leaks, made by hand ----------------------------------------------------------------------------------------------


def read(shop: Billed) -> None:
    """As the button does, in this thread."""
    month = months.current(shop.partner)
    order = readings.ask(shop.partner, month, by="proof")
    months.read_on(order.pk)


def counted(shop: Billed) -> MonthNumbers:
    read(shop)
    return MonthNumbers.objects.get(client=shop.client, service=shop.service)


def causes_of(row: MonthNumbers) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for step in row.steps:
        for cause in step["causes"]:
            found[f"{step['name']}:{cause['kind']}"] = Decimal(cause["amount"])
    return found


def unmapped(shop: Billed) -> None:
    CompanyLink.objects.filter(client=shop.client).delete()
    shop.use(12)


def unticked(shop: Billed) -> None:
    CrossReference.objects.filter(partner=shop.partner, service=shop.service).update(is_billed=False)
    shop.use(12)


def product_gone(shop: Billed) -> None:
    product = CrossReference.objects.get(partner=shop.partner, service=shop.service).product
    assert product is not None
    store = shop.sandbox.dialect.store  # type: ignore[attr-defined]
    with store.lock:
        store.put("catalog", {**store.get("catalog", int(product.psa_id)), "inactiveFlag": True})
    shop.reload()
    shop.use(12)
    shop.sync()


def line_cancelled(shop: Billed) -> None:
    shop.sandbox.control.technician("cancel", addition=shop.lines[shop.client.pk, shop.service.key])


def lowered(shop: Billed) -> None:
    shop.by_hand(quantity=7)


def push_failed(shop: Billed) -> None:
    shop.use(12)
    shop.sandbox.control.fault("status_500", path="additions", method="PATCH", times=1)
    with contextlib.suppress(PsaError):
        shop.sync()
    shop.sandbox.control.clear_faults()


def question_forgotten(shop: Billed) -> None:
    shop.use(100)
    shop.sync()


def feed_died(shop: Billed) -> None:
    rows = Usage.objects.filter(client=shop.client)
    rows.update(measured_on=months.current(shop.partner) - timedelta(days=9))


def agreement_expired(shop: Billed) -> None:
    shop.agreement_by_hand(agreementStatus="Expired", endDate="2020-01-01T00:00:00Z")
    shop.reload()
    shop.use(12)
    shop.sync()


def used_after_the_push(shop: Billed) -> None:
    shop.use(13)


def included_wrong(shop: Billed) -> None:
    shop.by_hand(lessIncluded=100)


def rounded(shop: Billed) -> None:
    shop.use("10.4")
    shop.sync()


LEAKS: Mapping[str, tuple[Callable[[Billed], None], dict[str, str]]] = {
    "client not mapped": (unmapped, {"billable:unmapped": "-12", "pushed:unmapped": "10"}),
    "service unticked": (unticked, {"billable:unticked": "-12", "pushed:unticked": "10"}),
    "product inactive": (product_gone, {"pushed:product_gone": "-2"}),
    "line cancelled by hand": (line_cancelled, {"in_agreement:line_cancelled": "-10"}),
    "quantity lowered by hand": (lowered, {"in_agreement:manual": "-3"}),
    "push failed": (push_failed, {"pushed:failed": "-2"}),
    "question forgotten": (question_forgotten, {"pushed:held": "-90"}),
    "feed died": (feed_died, {"pushed:stale": "10"}),
    "agreement expired": (
        agreement_expired,
        {"pushed:agreement_over": "-2", "in_agreement:agreement_over": "-10"},
    ),
    "usage after the push": (used_after_the_push, {"pushed:timing": "-3"}),
    "included amount wrong": (included_wrong, {"in_agreement:included": "-10"}),
    "rounding": (rounded, {"billable:rounding": "0.6"}),
}


# --- 6.4 --------------------------------------------------------------------------------------------------------------


def reconciliation(histories: int = 100, steps: int = 8) -> Shown:
    """Random histories: every step's causes sum exactly. Then each leak: is it named, with its amount?"""
    dice = random.Random(64)  # noqa: S311 - the same histories again
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=histories)
        for client in shop.clients:
            for _ in range(steps):
                happen(shop, client, dice.choice(HANDS), dice.randint(0, 30))
        shop.mode("live")
        CrossReference.objects.filter(partner=shop.partner).update(is_billed=True)
        read(shop)
        rows = list(MonthNumbers.objects.filter(partner=shop.partner))
        wrong = sum(not sums(row) for row in rows)
    named = sum(is_named(*leak) for leak in LEAKS.values())
    causes = sum(len(step["causes"]) for row in rows for step in row.steps)
    unexplained = sum("unexplained" in row.kinds for row in rows)
    held = bool(rows) and not wrong and not unexplained and named == len(LEAKS)
    return held, (
        f"{len(rows)} rows of {histories} random histories, {causes} causes: {wrong} do not sum, {unexplained}"
        f" unexplained; {named} of {len(LEAKS)} hand-made leaks named with their amounts"
    )


def happen(shop: Billed, client: Client, what: str, number: int) -> None:
    """One thing that somebody does, or the PSA refuses."""
    if what == "use":
        shop.use(f"{number}.{number % 10}", client)
    elif what == "by hand":
        shop.by_hand(client, quantity=float(number))
    elif what == "included":
        shop.by_hand(client, lessIncluded=float(number))
    elif what == "mode":
        shop.mode(("live", "observe", "approve")[number % 3])
    elif what == "tick":
        CrossReference.objects.filter(partner=shop.partner).update(is_billed=number % 2 == 0)
    else:
        if what == "fail":
            shop.sandbox.control.fault("status_500", path="additions", method="PATCH", times=1)
        with contextlib.suppress(PsaError):
            shop.sync(client)
        shop.sandbox.control.clear_faults()
        pass_time(10_000)


def sums(row: MonthNumbers) -> bool:
    """Whether the stored causes of every step sum to the difference of the stored numbers."""
    numbers = (row.measured or Decimal(0), row.billable, row.pushed, row.in_agreement, row.invoiced)
    return all(
        before is None
        or after is None
        or sum((Decimal(cause["amount"]) for cause in step["causes"]), Decimal(0)) == after - before
        for before, after, step in zip(numbers, numbers[1:], row.steps, strict=False)
    )


def is_named(make_it: Callable[[Billed], None], expected: Mapping[str, str]) -> bool:
    """In a PSA of its own: some leaks are made in its catalogue."""
    with running_sandbox() as sandbox:
        shop = billed(sandbox)
        shop.use(10)
        shop.sync()
        make_it(shop)
        return causes_of(counted(shop)) == {key: Decimal(amount) for key, amount in expected.items()}


# --- 6.15 -------------------------------------------------------------------------------------------------------------


def evidence_packs(clients: int = 50) -> Shown:
    """Pack, preview, line and log tell one number; a closed month is the same bytes after everything has changed."""
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=clients)
        shop.use_all([(client, shop.service.key, 11) for client in shop.clients])
        for client in shop.clients:
            shop.sync(client)
        months.calculate(shop.partner, months.current(shop.partner))
        agree = sum(agrees(shop, client) for client in shop.clients)
        last = months.before(months.current(shop.partner))
        back = usage_days(shop)
        months.calculate(shop.partner, last)
        months.close(shop.partner, last, by="proof")
        before = files(shop)
        shop.use_all([(client, shop.service.key, 99) for client in shop.clients], days_ago=back)
        Usage.objects.filter(partner=shop.partner).update(quantity=F("quantity") + 1)
        Client.objects.filter(partner=shop.partner).update(name="Renamed")
        months.calculate(shop.partner, last)
        after = files(shop)
        same = sum(before[key] == after.get(key) for key in before)
    held = agree == clients and same == len(before) == clients
    size = sum(map(len, before.values())) // max(len(before), 1)
    return held, (
        f"{clients} clients: pack, preview, agreement line and run agree for {agree}; closed month made again after"
        f" usage and names had changed: {same} of {len(before)} PDFs the same bytes ({size} bytes each)"
    )


def usage_days(shop: Billed) -> int:
    """Puts what was measured and pushed into last month; how many days ago that is."""
    last_day = months.current(shop.partner) - timedelta(days=1)
    moment = clock.now() - timedelta(days=(clock.today_in(shop.partner.time_zone) - last_day).days)
    Usage.objects.filter(partner=shop.partner).update(measured_on=last_day, recorded_at=moment)
    PushRun.objects.filter(partner=shop.partner).update(started_at=moment, finished_at=moment)
    return (clock.today_in(shop.partner.time_zone) - last_day).days


def agrees(shop: Billed, client: Client) -> bool:
    [service] = evidence.gather(client, Month.of(shop.partner, months.current(shop.partner)))["services"]
    item = PushItem.objects.get(run__client=client)
    nothing_left = preview.of_client(client).writes == 0
    numbers = {Decimal(service["written"]), Decimal(str(item.after["quantity"])), shop.quantity(client)}
    return nothing_left and len(numbers) == 1


def files(shop: Billed) -> dict[object, bytes]:
    packs = EvidencePack.objects.filter(partner=shop.partner)
    return {pack.client_id: evidencepdf.made(pack.facts, pack.digest) for pack in packs}


PROOFS: dict[str, Callable[[], Shown]] = {"6.4": reconciliation, "6.15": evidence_packs}
