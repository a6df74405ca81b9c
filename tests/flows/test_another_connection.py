"""A partner goes to another PSA: everything chosen is found there by name, or left empty and told; nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import ClosingStatus, SettingChange, Ticket, TicketSettings
from billing.models import AgreementLink, CrossReference
from integrations import companies, connections, effective, jobs, repointing
from integrations.connections import Entered
from integrations.models import Choice, CompanyLink, Credentials, Delivery, Reload, Status
from integrations.repointing import NotNow
from integrations.sandbox import Sandbox, running_sandbox
from portal import clients
from portal.models import AuditEntry, Client
from tests import make


@pytest.fixture(scope="module")
def second() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def world(live_world: make.World, second: Sandbox) -> make.World:
    second.control.reset()
    make.billing(live_world)
    board = live_world.credentials.choices.get(kind="board", name="Backup")
    ClosingStatus.objects.create(
        partner=live_world.partner,
        credentials=live_world.credentials,
        board=board,
        status=make.choice(live_world.credentials, "status", "Completed", board.psa_id),
    )
    return live_world


def keys_of(sandbox: Sandbox) -> Entered:
    known = sandbox.dialect.credentials()
    return Entered(
        kind="connectwise",
        site_url=sandbox.url,
        login_company=known["company"],
        public_key=known["public_key"],
        secret=known["private_key"],
    )


def prepared(world: make.World, second: Sandbox) -> Credentials:
    """The worker of tests reads at once."""
    return repointing.begin(world.credentials, keys_of(second), by=None)


def rename(draft: Credentials, kind: str, name: str, new: str) -> None:
    assert Choice.objects.filter(credentials=draft, kind=kind, name=name).update(name=new)


def shift_ids(draft: Credentials) -> None:
    """Another PSA has other ids for the same names."""
    for kind in ("product", "agreement"):
        for row in Choice.objects.filter(credentials=draft, kind=kind):
            Choice.objects.filter(pk=row.pk).update(psa_id=f"9{row.psa_id}")


def confirm(world: make.World, draft: Credentials, **picks: str) -> None:
    seen = repointing.preview(world.credentials, draft, picks)
    repointing.confirm(world.credentials, picks=picks, digest=seen.digest, by=None, actor="test")


def own_tickets(sandbox: Sandbox) -> list[bool]:
    return [row["closedFlag"] for row in sandbox.control.tickets() if row.get("externalXRef")]


def test_everything_that_has_its_name_there_goes_over(world: make.World, second: Sandbox) -> None:
    skipped = clients.add_client(world.partner, name="Skipped", number=19999)
    companies.link_company(skipped, world.credentials, psa_company_id="", name="")
    draft = prepared(world, second)
    shift_ids(draft)
    assert TicketSettings.objects.get().board.credentials == world.credentials, (
        "nothing before it is confirmed"
    )
    assert set(effective.by_level(world.partner.pk).values()) == {world.credentials}
    confirm(world, draft)
    row = TicketSettings.objects.get()
    assert {row.board.credentials, row.new_status.credentials, row.closing_status.credentials} == {draft}
    assert (row.board.name, row.new_status.name, row.closing_status.name) == ("Backup", "New", "Completed")
    product = CrossReference.objects.get().product
    assert (product.credentials, product.psa_id) == (draft, "9302")
    link = AgreementLink.objects.get()
    assert (link.credentials, link.agreement.psa_id) == (draft, "9401")
    closing = ClosingStatus.objects.get()
    assert (closing.credentials, closing.status.credentials) == (draft, draft)
    found = CompanyLink.objects.filter(credentials=draft)
    assert dict(found.values_list("client__name", "psa_company_id")) == {"Bakery Ott": "250", "Skipped": ""}
    assert set(effective.by_level(world.partner.pk).values()) == {draft}
    world.credentials.refresh_from_db()
    assert (world.credentials.standing, world.credentials.left_empty) == ("former", [])
    assert AuditEntry.objects.get(action="change connection").details["left_empty"] == 0
    assert set(SettingChange.objects.values_list("origin", "field")) >= {("repointed", "board")}


def test_what_has_no_counterpart_is_left_empty_and_told(world: make.World, second: Sandbox) -> None:
    draft = prepared(world, second)
    rename(draft, "board", "Backup", "Something else")
    Choice.objects.filter(credentials=draft, kind="product", psa_id="302").delete()
    rename(draft, "company", "Bakery Ott", "Nobody we know")
    seen = repointing.preview(world.credentials, draft, {})
    whys = {line.kind: line.why for line in seen.unmatched}
    assert whys["board"] == whys["product"] == whys["company"] == "Not found."
    assert whys["status"] == "Its board “Backup” has no counterpart."
    assert whys["agreement"] == "Its company “Bakery Ott” has no counterpart."
    confirm(world, draft)
    row = TicketSettings.objects.get()
    assert (row.board, row.new_status, row.closing_status) == (None, None, None)
    assert CrossReference.objects.get().product is None
    assert not AgreementLink.objects.exists()
    assert not ClosingStatus.objects.exists()
    world.credentials.refresh_from_db()
    left = {line["kind"]: line["uses"][0]["url"] for line in world.credentials.left_empty}
    assert left["agreement"] == reverse("client_agreement", args=[world.client.pk])


def test_a_similar_name_is_proposed_and_taken_only_when_a_person_says_so(
    world: make.World, second: Sandbox
) -> None:
    draft = prepared(world, second)
    rename(draft, "board", "Backup", " BÄCKUP ")
    seen = repointing.preview(world.credentials, draft, {})
    [line] = [line for line in seen.open if line.kind == "board"]
    assert (line.match, [one.name for one in line.proposals]) == (None, [" BÄCKUP "])
    picks = {line.field: str(line.proposals[0].pk)}
    with pytest.raises(NotNow, match="changed since"):
        repointing.confirm(world.credentials, picks=picks, digest=seen.digest, by=None, actor="test")
    confirm(world, draft, **picks)
    row = TicketSettings.objects.get()
    assert (row.board.name, row.closing_status.credentials) == (" BÄCKUP ", draft)


def test_an_agreement_of_another_company_is_none_of_this_client(world: make.World, second: Sandbox) -> None:
    draft = prepared(world, second)
    agreement = Choice.objects.get(credentials=draft, kind="agreement", psa_id="401")
    Choice.objects.filter(pk=agreement.pk).update(data={**agreement.data, "company_id": "2"}, within="")
    [line] = [
        one for one in repointing.preview(world.credentials, draft, {}).lines if one.kind == "agreement"
    ]
    assert (line.match, line.why) == (None, "Not found.")


def test_two_of_one_name_are_never_guessed_between(world: make.World, second: Sandbox) -> None:
    draft = prepared(world, second)
    other = Choice.objects.filter(credentials=draft, kind="company").exclude(name="Bakery Ott").first()
    Choice.objects.filter(pk=other.pk).update(name="Bakery Ott")
    line = next(
        line for line in repointing.preview(world.credentials, draft, {}).lines if line.kind == "company"
    )
    assert (line.match, len(line.proposals), line.why) == (None, 2, "Several are called so.")


def test_an_open_ticket_is_closed_where_it_is_and_the_next_opens_at_the_new_psa(
    world: make.World, second: Sandbox, drain: Callable[..., None]
) -> None:
    call = make.api(world.token)
    call.post("/api/v1/events", make.event())
    drain()
    confirm(world, prepared(world, second))
    call.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    drain()
    assert (own_tickets(world.sandbox), own_tickets(second)) == ([True], [])
    call.post("/api/v1/events", make.event())
    drain()
    assert (own_tickets(world.sandbox), own_tickets(second)) == ([True], [False])
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.DONE}


def test_what_waits_goes_to_the_new_psa(
    world: make.World, second: Sandbox, drain: Callable[..., None]
) -> None:
    world.credentials.lane.is_paused = True
    world.credentials.lane.save()
    make.api(world.token).post("/api/v1/events", make.event())
    draft = prepared(world, second)
    confirm(world, draft)
    jobs.look_over()
    drain()
    assert (own_tickets(world.sandbox), own_tickets(second)) == ([], [False])
    assert Ticket.objects.get().credentials == draft


def test_a_failure_half_way_changes_nothing(
    world: make.World, second: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = prepared(world, second)
    monkeypatch.setattr(companies, "link_all", lambda *rest, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        confirm(world, draft)
    assert TicketSettings.objects.get().board.credentials == world.credentials
    assert set(effective.by_level(world.partner.pk).values()) == {world.credentials}


def test_it_is_prepared_anew_and_taken_back(world: make.World, second: Sandbox) -> None:
    prepared(world, second)
    draft = prepared(world, second)
    assert Credentials.objects.filter(standing="draft").get() == draft
    assert repointing.abandon(world.credentials)
    with pytest.raises(NotNow, match="Nothing is prepared"):
        repointing.confirm(world.credentials, picks={}, digest="", by=None, actor="test")


def test_a_psa_that_was_not_read_cannot_be_gone_to(world: make.World, second: Sandbox) -> None:
    repointing.begin(world.credentials, keys_of(second), by=None)
    Reload.objects.filter(credentials__standing="draft").update(state="waiting")
    with pytest.raises(NotNow, match="still being read"):
        repointing.confirm(world.credentials, picks={}, digest="", by=None, actor="test")


def test_the_pages_lead_through_it(world: make.World, second: Sandbox, client: Browser) -> None:
    client.force_login(make.user(world.partner))
    url = reverse("change_connection", args=[world.credentials.pk])
    assert (
        url
        in client.get(
            reverse("credentials_of", args=["organization", world.organization.pk])
        ).content.decode()
    )
    entered = {**vars(keys_of(second)), "do": "prepare"}
    same = client.post(url, {**entered, "site_url": world.sandbox.url})
    assert "is connected already" in same.content.decode()
    assert client.post(url, entered).status_code == 302
    draft = repointing.draft_of(world.credentials)
    assert draft is not None
    rename(draft, "board", "Backup", "backup")
    page = client.get(url).content.decode()
    assert "Only a similar name was found." in page
    line = next(
        line for line in repointing.preview(world.credentials, draft, {}).open if line.kind == "board"
    )
    pick = {f"pick:{line.field}": str(line.proposals[0].pk)}
    looked = client.post(url, {**pick, "do": "look"})
    assert "None: everything that is chosen was found" in looked.content.decode()
    seen = looked.context["seen"]
    done = client.post(url, {**pick, "do": "confirm", "digest": seen.digest}, follow=True)
    assert "is in effect now" in done.content.decode()
    assert TicketSettings.objects.get().board.name == "backup"
    assert client.get(url).status_code == 404


def test_a_viewer_may_look_and_not_change(world: make.World, second: Sandbox, client: Browser) -> None:
    client.force_login(make.user(world.partner, role="viewer"))
    url = reverse("change_connection", args=[world.credentials.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {**vars(keys_of(second)), "do": "prepare"}).status_code == 403


def test_over_rest(world: make.World, second: Sandbox) -> None:
    call = make.api(world.token)
    url = f"/api/v1/connections/{world.credentials.pk}/change"
    assert call.get(url).status_code == 404
    begun = call.post(url, vars(keys_of(second)))
    assert (begun.status_code, begun.json()["ready"]) == (202, True), "tests read at once"
    draft = repointing.draft_of(world.credentials)
    assert draft is not None
    told = call.get(url).json()
    assert (told["ready"], told["left_empty"]) == (True, 0)
    assert call.post(f"{url}/confirm", {"digest": "other"}).status_code == 409
    done = call.post(f"{url}/confirm", {"digest": told["digest"]})
    assert (done.status_code, done.json()["connection"]) == (200, str(draft.pk))
    listed = call.get("/api/v1/connections").json()["results"]
    assert [row["id"] for row in listed] == [str(draft.pk)]
    assert connections.sign_in_of(Credentials.objects.get(pk=draft.pk)).site == second.url
    assert Client.objects.count() == 1


def test_over_rest_a_similar_name_is_picked_by_its_id(world: make.World, second: Sandbox) -> None:
    call = make.api(world.token)
    url = f"/api/v1/connections/{world.credentials.pk}/change"
    call.post(url, vars(keys_of(second)))
    draft = repointing.draft_of(world.credentials)
    assert draft is not None
    rename(draft, "board", "Backup", " BÄCKUP ")
    told = call.get(url).json()
    [line] = [one for one in told["lines"] if one["kind"] == "board"]
    wrong = {"digest": told["digest"], "picks": {line["line"]: str(draft.pk)}}
    assert call.post(f"{url}/confirm", wrong, format="json").status_code == 409
    right = {"digest": told["digest"], "picks": {line["line"]: line["proposals"][0]["id"]}}
    done = call.post(f"{url}/confirm", right, format="json")
    assert done.status_code == 200, done.content
    assert TicketSettings.objects.get().board.name == " BÄCKUP "
