"""Months at work: histories at both PSAs, readings, the page, the files, the call, the buttons."""

from __future__ import annotations

import contextlib
import csv
import html
import io
import random
import re
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from django.test import Client as Browser
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import jobs, months, proof_world, readings, synchronize, usage
from billing.decisions import Refused
from billing.models import (
    AgreementLink,
    AgreementReading,
    BillingMonth,
    CrossReference,
    MonthNumbers,
    ReadingOrder,
    Service,
)
from billing.proof_world import Billed, pass_time
from billing.push import PushTask
from billing.usage import Measured
from integrations import connections
from integrations.models import Delivery
from integrations.psa.errors import PsaError
from integrations.sandbox import Sandbox, running_sandbox
from portal import clock
from portal.models import Client
from tests import make

D = Decimal
DONE_TO_IT = st.lists(
    st.tuples(
        st.sampled_from(["use", "sync", "by hand", "included", "fail", "mode", "tick", "cancel", "read"]),
        st.integers(0, 30),
    ),
    max_size=10,
)


def read(shop: Billed) -> None:
    """As the button does, in this thread."""
    month = months.current(shop.partner)
    order = readings.ask(shop.partner, month, by="test")
    assert months.read_on(order.pk)


# --- Histories at both PSAs -------------------------------------------------------------------------------------------


def one_history(shop: Billed, client: Client, done: list[tuple[str, int]]) -> None:
    """Usage, pushes that work or fail, hands in the PSA, settings: in any order."""
    for what, number in done:
        if what == "use":
            shop.use(f"{number}.{number % 10}", client)
        elif what == "by hand":
            shop.by_hand(client, quantity=float(number))
        elif what == "included":
            shop.by_hand(client, lessIncluded=float(number))
        elif what == "mode":
            shop.mode(["live", "observe", "approve"][number % 3])
        elif what == "tick":
            CrossReference.objects.update(is_billed=number % 2 == 0)
        elif what == "cancel":
            shop.by_hand(client, cancelledDate=f"{2020 if number % 2 else 2999}-01-01T00:00:00Z")
        elif what == "read":
            read(shop)
        else:
            if what == "fail":
                shop.sandbox.control.fault("status_500", path="additions", method="PATCH", times=1)
            with contextlib.suppress(PsaError):
                shop.sync(client)
            shop.sandbox.control.clear_faults()
            pass_time(10_000)


def unexplained(client: Client) -> int:
    """Each step's causes sum to its difference, as stored; how many rows have something unexplained."""
    rows = list(MonthNumbers.objects.filter(client=client))
    for row in rows:
        numbers = [row.measured or D(0), row.billable, row.pushed, row.in_agreement, row.invoiced]
        for before, after, step in zip(numbers, numbers[1:], row.steps, strict=False):
            if before is not None and after is not None:
                assert sum(D(cause["amount"]) for cause in step["causes"]) == after - before, row.steps
    return sum("unexplained" in row.kinds for row in rows)


@pytest.mark.django_db
def test_histories_at_connectwise_are_explained(sandbox: Sandbox) -> None:
    shop = proof_world.billed(sandbox, count=25)
    fresh, seen = iter(shop.clients), []

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(DONE_TO_IT)
    def run(done: list[tuple[str, int]]) -> None:
        client = next(fresh, None)
        if client is None:
            return
        shop.mode("live")
        CrossReference.objects.update(is_billed=True)
        one_history(shop, client, done)
        read(shop)
        seen.append((unexplained(client), done))

    run()
    assert [done for count, done in seen if count] == []


@pytest.mark.django_db
def test_histories_at_autotask_are_explained() -> None:
    with running_sandbox(kind="autotask") as sandbox:
        world = make.autotask_world(sandbox)
        make.credulous(world)
        service = autotask_billing(world)
        month, dice = months.current(world.partner), random.Random(64)
        for _ in range(16):
            what = dice.choice(["use", "use", "sync", "sync", "adjust", "fail", "post"])
            do_autotask(world, service, what, dice.randint(1, 30))
            order = readings.ask(world.partner, month, by="test")
            assert months.read_on(order.pk)
            assert unexplained(world.client) == 0, what
        assert MonthNumbers.objects.get(client=world.client).in_agreement is not None


def autotask_billing(world: make.World) -> Service:
    company = world.credentials.choices.get(kind="company", name="Bakery Ott").psa_id
    contract = world.credentials.choices.filter(
        kind="agreement", data__company_id=company, data__recurring=True
    ).first()
    AgreementLink.objects.create(
        partner=world.partner, client=world.client, credentials=world.credentials, agreement=contract
    )
    service = Service.objects.get(key="online-backup-servers")
    CrossReference.objects.create(
        partner=world.partner,
        organization=world.organization,
        service=service,
        product=world.credentials.choices.get(kind="product", psa_id="302"),
    )
    return service


def do_autotask(world: make.World, service: Service, what: str, number: int) -> None:
    control = world.sandbox.control
    contract = int(AgreementLink.objects.get(client=world.client).agreement.psa_id)
    today = usage.today_for(world.client)
    if what == "use":
        usage.record([Measured(client=world.client, service=service, quantity=D(number), measured_on=today)])
    elif what == "post":
        control.technician("post", contract=contract)
        control.technician("invoice", contract=contract, invoice=9001)
    elif what == "adjust":
        control.technician("adjustment", contract=contract, service=302, change=number)
    else:
        if what == "fail":
            control.fault("status_500", path="Adjustments", times=1)
        synchronize.request(world.client, cause="button", at_once=True)
        delivery = Delivery.objects.filter(client=world.client, status="waiting").latest("pk")
        delivery.status = "failed"
        with contextlib.suppress(PsaError), connections.psa_for(world.credentials) as psa:
            outcome = PushTask(delivery, world.credentials).run(psa)
            delivery.status = "done" if outcome.status == "waiting" else outcome.status
        delivery.save()
        control.clear_faults()
        pass_time(10_000)


# --- Readings ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_agreement_costs_two_calls_and_a_refusal_is_told(shop: Billed) -> None:
    shop.use_all([(client, shop.service.key, 10) for client in shop.clients])
    before = int(shop.sandbox.control.counts()["total"])
    read(shop)
    discovery = 1  # where the site's API is
    assert int(shop.sandbox.control.counts()["total"]) - before <= 2 * len(shop.clients) + discovery
    shop.sandbox.control.fault("status_403", path="additions", times=10)
    order = readings.ask(shop.partner, months.current(shop.partner), by="test")
    assert months.read_on(order.pk)
    shop.sandbox.control.clear_faults()
    order.refresh_from_db()
    assert order.finished_at is not None
    assert (order.done, order.failed) == (2, 2)
    kept = AgreementReading.objects.filter(partner=shop.partner)
    assert all(row.trouble and row.read_at and row.lines for row in kept)


def test_an_order_that_ends_while_somebody_asks_is_followed_by_a_new_one(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = months.current(world.partner)
    first = readings.ask(world.partner, month, by="one")
    assert readings.ask(world.partner, month, by="two") == first
    look = ReadingOrder.objects.filter

    def late(**fields: Any) -> Any:
        """The standing order ends between the refusal and the look at it."""
        ReadingOrder.objects.update(finished_at=clock.now())
        return look(**fields)

    monkeypatch.setattr(ReadingOrder.objects, "filter", late)
    assert readings.ask(world.partner, month, by="three") != first


@pytest.mark.django_db
def test_counting_costs_the_same_queries_however_many_clients(
    sandbox: Sandbox, django_assert_max_num_queries: Any
) -> None:
    shop = proof_world.billed(sandbox, count=6)
    shop.use_all([(client, shop.service.key, 10) for client in shop.clients])
    for client in shop.clients:
        shop.sync(client)
    with django_assert_max_num_queries(40):
        months.calculate(shop.partner, months.current(shop.partner))
    assert MonthNumbers.objects.filter(partner=shop.partner, differs=False).count() == 6


# --- The page, the files, the call ------------------------------------------------------------------------------------


def filled(world: make.World, count: int) -> date:
    """So many clients with a row each, every third held by a question."""
    month = months.current(world.partner)
    service = Service.objects.get(key="online-backup-servers")
    rows = [
        Client(
            partner=world.partner, organization=world.organization, name=f"Client {n:05}", number=50_000 + n
        )
        for n in range(count)
    ]
    Client.objects.bulk_create(rows, batch_size=500)
    cause = {"kind": "held", "amount": "-1", "text": "=1+1", "link": None}
    steps = [{"name": "pushed", "difference": "-1", "causes": [cause]}]
    MonthNumbers.objects.bulk_create(
        [
            MonthNumbers(
                partner=world.partner,
                client=client,
                service=service,
                month=month,
                place=f"{client.name.casefold()}\t{service.name}",
                measured=3,
                billable=3,
                pushed=2 if n % 3 == 0 else 3,
                included=0,
                units_at_risk=int(n % 3 == 0),
                at_risk=D("4.50") if n % 3 == 0 else 0,
                currency="USD",
                steps=steps if n % 3 == 0 else [],
                kinds=",held," if n % 3 == 0 else "",
                differs=n % 3 == 0,
            )
            for n, client in enumerate(rows)
        ],
        batch_size=500,
    )
    BillingMonth.objects.create(partner=world.partner, month=month, calculated_at=clock.now())
    return month


def signed_in(world: make.World) -> Browser:
    browser = Browser()
    browser.force_login(make.user(world.partner))
    return browser


@pytest.mark.django_db
def test_a_page_of_five_thousand_rows_asks_what_one_of_sixty_asks(
    world: make.World, django_assert_max_num_queries: Any
) -> None:
    filled(world, 5_000)
    browser = signed_in(world)
    browser.get(reverse("reconciliation"))
    with django_assert_max_num_queries(19) as many:
        page = browser.get(reverse("reconciliation"), {"differences": "on"}).content.decode()
    assert len(re.findall(r">Client \d{5}<", page)) == 50
    assert "7501.50 USD" in page
    MonthNumbers.objects.filter(place__gt="client 00180").delete()
    with django_assert_max_num_queries(len(many.captured_queries)):
        browser.get(reverse("reconciliation"), {"differences": "on"})


@pytest.mark.django_db
def test_pages_follow_each_other_without_gap_or_repeat(world: make.World) -> None:
    filled(world, 120)
    browser, names, where = signed_in(world), [], reverse("reconciliation")
    while where:
        page = browser.get(where).content.decode()
        names += re.findall(r">(Client \d{5})<", page)
        following = re.search(r'href="(\?[^"]*before=[^"]+)" rel="next"', page)
        where = reverse("reconciliation") + html.unescape(following[1]) if following else ""
    assert names == [f"Client {n:05}" for n in range(120)]


RISKY = ("=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x")


@pytest.mark.django_db
def test_the_files_have_every_row_and_no_formula(world: make.World) -> None:
    filled(world, len(RISKY))
    for row, name in zip(Client.objects.filter(number__gte=50_000), RISKY, strict=True):
        Client.objects.filter(pk=row.pk).update(name=name)
    browser = signed_in(world)
    text = b"".join(browser.get(reverse("reconciliation_export")).streaming_content).decode()
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(rows) == 1 + len(RISKY)
    runs = re.compile(r"[=+@\t\r\n＝＋－＠]")
    assert [cell for row in rows for cell in row if runs.match(cell)] == []
    answer = browser.get(reverse("reconciliation_export"), {"format": "xlsx"})
    book = openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert book.active.max_row == 1 + len(RISKY)
    assert [cell for cell in cells if cell.data_type == "f"] == []
    assert [cell for cell in cells if isinstance(cell.value, str) and runs.match(cell.value)] == []
    assert book.active["F2"].value == 3


@pytest.mark.django_db
def test_the_call_pages_filters_and_refuses(world: make.World) -> None:
    period = {"period": f"{filled(world, 60):%Y-%m}"}
    caller = make.api(world.token)
    first = caller.get("/api/v1/reconciliation", period).json()
    second = caller.get(first["next"]).json()
    assert (len(first["results"]), len(second["results"]), second["next"]) == (50, 10, None)
    held = caller.get("/api/v1/reconciliation", {**period, "cause": "held", "page_size": "100"}).json()
    assert len(held["results"]) == 20
    assert held["results"][0]["steps"][0]["causes"][0]["amount"] == "-1"
    one = caller.get("/api/v1/reconciliation", {**period, "client": held["results"][0]["client"]}).json()
    assert len(one["results"]) == 1
    wrong: list[dict[str, str]] = [
        {},
        {"period": "October"},
        {**period, "cause": "x"},
        {**period, "client": "x"},
        {**period, "service": "a\x00"},
    ]
    assert [caller.get("/api/v1/reconciliation", query).status_code for query in wrong] == [400] * 5
    stranger = make.api(make.token(make.partner("Tailspin IT")))
    assert stranger.get("/api/v1/reconciliation", period).json()["results"] == []


@pytest.mark.django_db
def test_buttons_ask_once_and_refuse(shop: Billed) -> None:
    browser = Browser()
    browser.force_login(make.user(shop.partner))
    for _ in range(2):
        browser.post(reverse("read_agreements"))
    assert ReadingOrder.objects.filter(finished_at=None).count() == 1
    close, last = reverse("close_month"), f"{months.before(months.current(shop.partner)):%Y-%m}"
    assert "not over yet" in browser.post(close, {"sure": "yes"}, follow=True).content.decode()
    assert "Tick that you are sure" in browser.post(close, {"month": last}, follow=True).content.decode()
    browser.post(close, {"month": last, "sure": "yes"})
    jobs.close_month(str(shop.partner.pk), last)
    assert BillingMonth.objects.get(partner=shop.partner, month=f"{last}-01").closed_at is not None
    with pytest.raises(Refused):
        months.ask(shop.partner, months.month_of(last))


# --- Nonsense ---------------------------------------------------------------------------------------------------------


def test_numbers_that_no_column_holds_do_not_cost_the_others_their_month(shop: Billed) -> None:
    for client in shop.clients:
        shop.use(12, client)
    today = usage.today_for(shop.client)
    words = [
        Measured(
            client=shop.client, service=shop.service, quantity=D(9 * 10**13), measured_on=today, account=key
        )
        for key in ("a", "b", "c")
    ]
    usage.record(words)
    assert months.calculate(shop.partner, today.replace(day=1)) == 1
    assert MonthNumbers.objects.get(client=shop.clients[1]).measured == 12


def test_a_price_that_is_no_price_is_not_known(shop: Billed) -> None:
    shop.use(12)
    product = CrossReference.objects.get().product
    assert product is not None
    product.data = {**product.data, "price": "1e40"}
    product.save()
    months.calculate(shop.partner, months.current(shop.partner))
    assert MonthNumbers.objects.get(client=shop.client).unit_price is None
