"""Evidence of a month: what it tells, that a closed one never changes, and who may see it without a login."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pypdf
import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import Condition, Ticket
from billing import backupstatistics, evidence, evidencelinks, evidencepdf, months, proposals, readings, usage
from billing.backupstatistics import Told
from billing.decisions import Decider, Refused
from billing.models import BackupStatistics, EvidencePack, MonthNumbers, PackLink, PushItem, PushRun, Usage
from billing.proof_world import Billed
from billing.usage import Measured
from portal import clock, logs
from portal.models import Client
from tests import make

D = Decimal
BOSS = Decider("boss@northwind.example")
OCTOBER = date(2026, 10, 1)


@pytest.fixture
def october(shop: Billed, monkeypatch: pytest.MonkeyPatch) -> Billed:
    """The first client's October: three accounts, of which one joined and one left; a push; backups; two tickets."""
    at(monkeypatch, datetime(2026, 10, 20, 12, tzinfo=UTC))
    words = [
        ("SRV-1", 1, 5),
        ("SRV-1", 20, 6),
        ("SRV-2", 12, 5),
        ("SRV-2", 20, 5),
        ("SRV-3", 2, 3),
        ("SRV-3", 4, 3),
    ]
    usage.record(
        [
            Measured(
                client=shop.client,
                service=shop.service,
                quantity=D(quantity),
                measured_on=OCTOBER.replace(day=day),
                account=account,
            )
            for account, day, quantity in words
        ]
    )
    shop.sync()
    PushRun.objects.update(started_at=clock.now(), finished_at=clock.now())
    Usage.objects.update(recorded_at=clock.now() - timedelta(hours=1))
    backupstatistics.record(
        [
            Told(
                client=shop.client,
                account="SRV-1",
                measured_on=OCTOBER.replace(day=20),
                successful_jobs=29,
                failed_jobs=1,
                device_kind="server",
                used_gb=D("412.5"),
            )
        ],
        then=lambda clients: None,
    )
    BackupStatistics.objects.update(recorded_at=clock.now() - timedelta(hours=1))
    for number, opened in enumerate((OCTOBER.replace(day=3), date(2026, 11, 2))):
        ticketed(shop, number, datetime(opened.year, opened.month, opened.day, 9, tzinfo=UTC))
    months.calculate(shop.partner, OCTOBER)
    return shop


def ticketed(shop: Billed, number: int, opened_at: datetime) -> None:
    condition = Condition.objects.create(partner=shop.partner, client=shop.client, key=f"backup:{number}")
    Ticket.objects.create(
        partner=shop.partner,
        condition=condition,
        credentials=shop.credentials,
        generation=1,
        external_ref=f"psap:{number}",
        created_at=opened_at - timedelta(seconds=40),
        opened_at=opened_at,
        closed_at=opened_at + timedelta(hours=1),
        state="closed",
    )


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def facts_of(shop: Billed) -> evidence.Facts:
    return evidence.of_client(Client.objects.get(pk=shop.client.pk), OCTOBER)[0]


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).split())


@pytest.mark.django_db
def test_a_pack_tells_who_joined_who_left_and_how_it_was_counted(october: Billed) -> None:
    facts = facts_of(october)
    [service] = facts["services"]
    assert (service["measured"], service["billable"], service["written"]) == ("11", "11", "11")
    assert service["counted"].startswith("the")
    told = {one["account"]: (one["quantity"], one["joined"], one["left"]) for one in service["accounts"]}
    assert told == {
        "SRV-1": ("6", "", ""),
        "SRV-2": ("5", "2026-10-12", ""),
        "SRV-3": ("3", "2026-10-02", "2026-10-04"),
    }
    assert facts["backups"]["rate"] == "96.6"
    assert facts["tickets"] == {"opened": 1, "closed": 1, "seconds_to_ticket": 40, "slowest_seconds": 40}


@pytest.mark.django_db
def test_pack_preview_agreement_and_run_tell_the_same_number(october: Billed) -> None:
    [service] = facts_of(october)["services"]
    item = PushItem.objects.get(run__client=october.client)
    row = MonthNumbers.objects.get(client=october.client, month=OCTOBER)
    said = {D(service["written"]), D(str(item.after["quantity"])), item.quantity, row.written}
    assert said == {october.quantity()}


@pytest.mark.django_db
def test_a_closed_month_is_the_same_bytes_whatever_happens_later(
    october: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2026, 11, 6, 12, tzinfo=UTC))
    closed = months.close(october.partner, OCTOBER, by="boss")
    facts, pack = evidence.of_client(october.client, OCTOBER)
    assert pack is not None
    assert closed.digest
    before = evidencepdf.made(facts, pack.digest)
    Usage.objects.filter(client=october.client).update(quantity=99)
    usage.record(
        [Measured(client=october.client, service=october.service, quantity=D(77), measured_on=OCTOBER)]
    )
    october.by_hand(quantity=3)
    Client.objects.filter(pk=october.client.pk).update(name="Another Name")
    Ticket.objects.all().delete()
    at(monkeypatch, datetime(2027, 1, 6, 12, tzinfo=UTC))
    assert months.calculate(october.partner, OCTOBER) == 0
    facts, pack = evidence.of_client(Client.objects.get(pk=october.client.pk), OCTOBER)
    assert pack is not None
    assert evidence.digest_of(facts) == pack.digest
    assert evidencepdf.made(facts, pack.digest) == before
    assert MonthNumbers.objects.get(client=october.client, month=OCTOBER).measured == 11
    with pytest.raises(Refused, match="is closed"):
        months.ask(october.partner, OCTOBER)


@pytest.mark.django_db
def test_what_comes_in_while_a_month_is_being_closed_stands_beside_no_earlier_number(
    october: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt is killed between the numbers and the packs; the second comes when a source has told more."""
    at(monkeypatch, datetime(2026, 11, 6, 12, tzinfo=UTC))
    with monkeypatch.context() as killed:
        killed.setattr(evidence, "freeze", lambda *args, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            months.close(october.partner, OCTOBER, by="boss")
    at(monkeypatch, datetime(2026, 11, 6, 15, tzinfo=UTC))
    late = OCTOBER.replace(day=20)
    measured = Measured(
        client=october.client, service=october.service, quantity=D(70), measured_on=late, account="SRV-1"
    )
    usage.record([measured])
    told = Told(client=october.client, account="SRV-1", measured_on=late, successful_jobs=1, failed_jobs=1)
    backupstatistics.record([told], then=lambda clients: None)
    months.close(october.partner, OCTOBER, by="boss")
    facts = facts_of(october)
    [service] = facts["services"]
    assert (service["measured"], service["accounts"][0]["quantity"]) == ("11", "6")
    assert facts["backups"]["rate"] == "96.6"


@pytest.mark.django_db
def test_a_client_without_numbers_has_a_closed_month_as_well(
    october: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2026, 11, 6, 12, tzinfo=UTC))
    months.close(october.partner, OCTOBER, by="boss")
    other = october.clients[1]
    told = Told(client=other, account="A", measured_on=OCTOBER, successful_jobs=1, failed_jobs=1)
    backupstatistics.record([told], then=lambda clients: None)
    browser = Browser()
    browser.force_login(make.user(october.partner))
    address = reverse("client_evidence", args=[other.pk])
    page = browser.get(address, {"month": "2026-10"}).content.decode()
    assert "Nothing was known of this client" in page
    assert "still open" not in page
    pdf = browser.get(reverse("client_evidence_pdf", args=[other.pk]), {"month": "2026-10"}).content
    assert "Nothing was known of this client" in text_of(pdf)
    assert "still open" in browser.get(address, {"month": "2026-11"}).content.decode()


@pytest.mark.django_db
def test_a_plan_that_is_carried_out_in_the_next_month_was_not_pushed_in_the_one_it_waited_in(
    shop: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2026, 10, 31, 12, tzinfo=UTC))
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    began = clock.now()
    at(monkeypatch, datetime(2026, 11, 2, 12, tzinfo=UTC))
    proposals.approve(PushRun.objects.get(state="waiting"), by=BOSS)
    shop.run()
    PushRun.objects.update(started_at=began)
    Usage.objects.update(recorded_at=began)
    for month in (OCTOBER, date(2026, 11, 1)):
        months.calculate(shop.partner, month)
    october, november = MonthNumbers.objects.order_by("month")
    assert (october.measured, october.pushed, november.pushed) == (12, 0, 12)


@pytest.mark.django_db
def test_a_month_that_runs_cannot_be_closed(october: Billed) -> None:
    with pytest.raises(Refused, match="not over yet"):
        months.close(october.partner, OCTOBER, by="boss")


@pytest.mark.django_db
def test_some_days_after_its_end_a_month_is_read_and_then_closed_by_itself(
    october: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2026, 11, 6, 12, tzinfo=UTC))
    assert months.close_due(october.partner, OCTOBER) is None
    order = readings.last_order(october.partner, OCTOBER)
    assert order is not None
    assert months.read_on(order.pk)
    row = months.close_due(october.partner, OCTOBER)
    assert row is not None
    assert row.closed_at is not None
    assert EvidencePack.objects.filter(client=october.client, month=OCTOBER).count() == 1


@pytest.mark.parametrize(
    "name",
    [
        "Bäckerei Ött",
        "Пекарня Отт",
        "Αρτοποιείο",
        "面包店",
        "مخبز",
        "Żółć 🥨",
        "<b>Bobby</b> & Söhne",
        "a\x00b\u202e\ud800",
    ],
)
@pytest.mark.django_db
def test_a_pdf_is_made_of_every_name(name: str, october: Billed) -> None:
    facts = facts_of(october)
    facts["client"]["name"] = name
    facts["services"][0]["accounts"][0]["name"] = name
    pdf = evidencepdf.made(facts, "")
    assert pdf == evidencepdf.made(facts, "")
    assert "2026-10" in text_of(pdf)


@pytest.mark.django_db
def test_a_pdf_says_the_numbers_and_what_its_font_lacks(october: Billed) -> None:
    facts = facts_of(october)
    facts["client"]["name"] = "Ж Żółć"
    text = text_of(evidencepdf.made(facts, "c0ffee"))
    assert "[U+0416]" in text
    assert "font lacks" in text
    assert "96.6 % of 30 backups" in text
    assert "c0ffee" in text


@pytest.mark.django_db
def test_a_pack_of_a_large_client_stays_short(october: Billed) -> None:
    facts = facts_of(october)
    [service] = facts["services"]
    many = [{**service["accounts"][0], "account": f"SRV-{n}"} for n in range(5000)]
    facts["services"] = [{**service, "accounts": many} for _ in range(40)]
    assert len(pypdf.PdfReader(io.BytesIO(evidencepdf.made(facts, ""))).pages) <= 3


@pytest.mark.django_db
def test_the_short_form_fits(october: Billed) -> None:
    facts = facts_of(october)
    whole = evidence.short_form(facts, 1000)
    assert "11 " in whole
    assert "Backups: 96.6 % of 30" in whole
    assert len(evidence.short_form(facts, 100)) <= 100
    assert evidence.short_form(facts, 0) == ""


# --- Links ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def link(october: Billed, monkeypatch: pytest.MonkeyPatch) -> PackLink:
    at(monkeypatch, datetime(2026, 11, 6, 12, tzinfo=UTC))
    months.close(october.partner, OCTOBER, by="boss")
    pack = EvidencePack.objects.get(client=october.client)
    return evidencelinks.make(pack, days=7, by=BOSS)


def shared(link: PackLink, name: str = "shared_evidence") -> str:
    return reverse(name, args=[evidencelinks.token_of(link)])


@pytest.mark.django_db
def test_a_link_shows_its_pack_to_who_has_it(link: PackLink) -> None:
    answer = Browser().get(shared(link))
    assert answer.status_code == 200
    assert link.pack.digest in answer.content.decode()
    assert (answer["Referrer-Policy"], answer["Cache-Control"]) == ("no-referrer", "no-store")
    assert "noindex" in answer["X-Robots-Tag"]
    pdf = Browser().get(shared(link, "shared_evidence_pdf")).content
    assert pdf == evidencepdf.made(link.pack.facts, link.pack.digest)


@pytest.mark.django_db
def test_a_link_that_is_forged_expired_or_revoked_is_not_found(
    link: PackLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = evidencelinks.token_of(link)
    other = evidencelinks.make(link.pack, days=30, by=BOSS)
    forged = token.replace(link.pk.hex, other.pk.hex)
    for wrong in (forged, token[:-1] + ("A" if token[-1] != "A" else "B"), "nonsense", link.pk.hex):
        assert Browser().get(reverse("shared_evidence", args=[wrong])).status_code == 404
    assert evidencelinks.revoke(other, by=BOSS)
    assert Browser().get(shared(other)).status_code == 404
    at(monkeypatch, datetime(2026, 11, 13, 12, 1, tzinfo=UTC))
    assert Browser().get(shared(link)).status_code == 404


@pytest.mark.django_db
def test_a_link_is_opened_so_often_a_minute(link: PackLink, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Browser().get(shared(link)).status_code for _ in range(evidencelinks.OPENED_A_MINUTE + 1)]
    assert answers == [200] * evidencelinks.OPENED_A_MINUTE + [429]
    at(monkeypatch, datetime(2026, 11, 6, 12, 1, tzinfo=UTC))
    assert Browser().get(shared(link)).status_code == 200
    link.refresh_from_db()
    assert link.opened == evidencelinks.OPENED_A_MINUTE + 1


@pytest.mark.django_db
def test_no_log_line_tells_an_address_that_opens_a_pack(
    link: PackLink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(logs.AddRequestId())
    PackLink.objects.filter(pk=link.pk).update(
        minute=int(clock.now().timestamp() // 60), opened_in_minute=evidencelinks.OPENED_A_MINUTE
    )
    assert Browser().get(shared(link)).status_code == 429
    assert "Too Many Requests" in caplog.text
    assert link.pk.hex in caplog.text
    assert evidencelinks.token_of(link) not in caplog.text


@pytest.mark.django_db
def test_a_manager_makes_and_revokes_links_of_closed_months_alone(link: PackLink) -> None:
    browser = Browser()
    browser.force_login(make.user(link.partner))
    client = link.pack.client_id
    page = reverse("client_evidence", args=[client])
    assert shared(link) in browser.get(page, {"month": "2026-10"}).content.decode()
    share = reverse("share_evidence", args=[client])
    browser.post(share, {"month": "2026-11", "days": "30"})
    browser.post(share, {"month": "2026-10", "days": "12"})
    assert PackLink.objects.count() == 1
    browser.post(share, {"month": "2026-10", "days": "30"})
    assert PackLink.objects.count() == 2
    browser.post(reverse("revoke_evidence", args=[link.pk]))
    assert Browser().get(shared(link)).status_code == 404


def test_hardly_ever_is_not_always() -> None:
    assert evidence.rate_of(99_999, 1) == "99.9"
    assert evidence.rate_of(0, 0) == ""
    assert evidence.rate_of(10, 0) == "100"
