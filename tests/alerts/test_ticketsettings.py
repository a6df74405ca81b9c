"""Which ticket setting applies: per field, from the account up to the top of the tree."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts import settinghistory, settingreset, setup, wantedticket
from alerts.models import Condition, SettingChange, TicketSettings
from alerts.settingreset import NotUndone
from alerts.ticketsettings import DEFAULTS, SettingsOf
from integrations import companies
from integrations.models import Choice
from portal import clock
from portal.models import Account, Client, Organization
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(world: make.World) -> Account:
    return Account.objects.create(partner=world.partner, client=world.client, key="SRV-01")


def settings_of(level: Any, **values: Any) -> TicketSettings:
    return TicketSettings.objects.create(partner_id=level.partner_id, **setup.of_level(level), **values)


def value(field: str, level: Any) -> Any:
    return SettingsOf.of(level.partner_id).value(field, level)


def own(world: make.World, kind: str, name: str, board: str = "") -> Choice:
    within = make.choice(world.credentials, "board", board).psa_id if board else ""
    return make.choice(world.credentials, kind, name, within)


@pytest.mark.parity("S0-7", "S2-2")
def test_each_field_comes_from_the_nearest_level_that_says_something(
    world: make.World, account: Account
) -> None:
    north = Organization.objects.create(partner=world.partner, parent=world.organization, name="North")
    office = Organization.objects.create(partner=world.partner, parent=north, name="Office")
    world.client.organization = office
    world.client.save()
    settings_of(north, due_in_hours=8, notes_per_hour=1)
    settings_of(world.client, notes_per_hour=2)
    settings_of(account, reminder_after_hours=24)
    account = Account.objects.select_related("client").get(pk=account.pk)
    found = {
        name: (value(name, account).value, value(name, account).source)
        for name in ("due_in_hours", "notes_per_hour", "reminder_after_hours", "board")
    }
    assert found == {
        "due_in_hours": (8, north),
        "notes_per_hour": (2, world.client),
        "reminder_after_hours": (24, account),
        "board": (own(world, "board", "Backup"), world.organization),
    }


def test_without_any_word_the_built_in_defaults_hold(world: make.World) -> None:
    TicketSettings.objects.all().delete()
    found = {name: value(name, world.client).value for name in DEFAULTS}
    assert found == {
        "automatic_closure": True,
        "closes_only_untouched": True,
        "reopen_within_days": 0,
        "notes_per_hour": 0,
        "reminder_after_hours": 0,
        "reminder_opens_ticket": False,
    }


def test_off_is_a_word_and_not_an_inherited_nothing(world: make.World) -> None:
    settings_of(world.client, reopen_within_days=0, automatic_closure=False)
    TicketSettings.objects.filter(organization=world.organization).update(reopen_within_days=7)
    assert value("reopen_within_days", world.client).value == 0
    assert value("automatic_closure", world.client).value is False


@pytest.mark.parity("S0-20")
def test_a_severity_has_its_priority_and_the_single_value_is_the_default(world: make.World) -> None:
    high, low, medium = list(world.credentials.choices.filter(kind="priority").order_by("name"))[:3]
    row = TicketSettings.objects.get(organization=world.organization)
    row.priority, row.priority_critical = low, high
    row.save()
    settings = SettingsOf.of(world.partner.pk)
    assert settings.priority("critical", world.client).value == high
    assert settings.priority("error", world.client).value == low
    settings_of(world.client, priority=medium)
    settings = SettingsOf.of(world.partner.pk)
    assert settings.priority("critical", world.client) == settings.priority("error", world.client)
    assert settings.priority("critical", world.client).value == medium


def test_a_status_of_the_former_board_is_left_out_when_the_board_above_changes(world: make.World) -> None:
    settings_of(world.client, closing_status=own(world, "status", "Completed", "Backup"))
    other = world.credentials.choices.filter(kind="board").exclude(name="Backup").first()
    TicketSettings.objects.filter(organization=world.organization).update(board=other)
    assert value("closing_status", world.client).value is None
    assert "left out" in setup.setup_of(world.client).doubt("closing_status")


def test_a_subtype_is_left_out_when_the_type_above_changes(world: make.World) -> None:
    board = own(world, "board", "Backup")
    subtypes = world.credentials.choices.filter(kind="subtype", within=board.psa_id)
    bound = next(row for row in subtypes if row.data.get("type_ids"))
    kind = world.credentials.choices.get(kind="type", within=board.psa_id, psa_id=bound.data["type_ids"][0])
    other = Choice.objects.create(
        partner=world.partner, credentials=world.credentials, kind="type", within=board.psa_id, psa_id="999"
    )
    settings_of(world.client, subtype=bound)
    top = TicketSettings.objects.filter(organization=world.organization)
    top.update(type=kind)
    assert value("subtype", world.client).value == bound
    top.update(type=other)
    assert value("subtype", world.client).value is None


def test_a_level_is_one_of_three(world: make.World, account: Account) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        TicketSettings.objects.create(partner=world.partner, client=world.client, account=account)
    with pytest.raises(IntegrityError), transaction.atomic():
        TicketSettings.objects.create(partner=world.partner)


def test_settings_of_500_tickets_cost_as_many_queries_as_those_of_one(world: make.World) -> None:
    def cost(clients: list[Client]) -> int:
        accounts = [row.pk for row in Account.objects.filter(client__in=clients)]
        conditions = list(
            Condition.objects.filter(client__in=clients).select_related("client", "account").order_by("pk")
        )
        with CaptureQueriesContext(
            connection,
        ) as seen:
            settings = SettingsOf.of(
                world.partner.pk, clients={client.pk for client in clients}, accounts=accounts
            )
            for condition in conditions:
                wantedticket.wanted_ticket(
                    condition,
                    None,
                    settings=settings,
                    credentials=world.credentials,
                    company="250",
                    external_ref="x",
                    state="open",
                    created_at=clock.now(),
                )
        return len(seen)

    clients = Client.objects.bulk_create(
        [
            Client(partner=world.partner, organization=world.organization, name=f"C{number}", number=number)
            for number in range(1, 501)
        ]
    )
    accounts = Account.objects.bulk_create(
        [Account(partner=world.partner, client=client, key="SRV") for client in clients]
    )
    Condition.objects.bulk_create(
        [
            Condition(
                partner=world.partner,
                client=one.client,
                account=one,
                key="k",
                severity="error",
                since=clock.now(),
            )
            for one in accounts
        ]
    )
    board = own(world, "board", "Backup")
    TicketSettings.objects.bulk_create(
        [TicketSettings(partner=world.partner, client=client, board=board) for client in clients]
        + [TicketSettings(partner=world.partner, account=one, due_in_hours=4) for one in accounts]
    )
    TicketSettings.objects.filter(organization=world.organization).update(
        body_template="{first_seen} {client}", summary_template="{client}: {summary}"
    )
    assert world.credentials.partner.time_zone == "UTC"  # a batch asks for it once
    assert cost(clients[:1]) == cost(clients) == 5


# --- What is refused --------------------------------------------------------------------------------------------------


def codes(refusal: Any) -> dict[str, str]:
    return {name: errors[0].code for name, errors in refusal.value.error_dict.items()}


@pytest.mark.parity("S0-19", "S0-36", "S2-18")
def test_a_subtype_goes_with_its_type_and_an_item_with_both(world: make.World) -> None:
    board = own(world, "board", "Backup")
    subtypes = world.credentials.choices.filter(kind="subtype", within=board.psa_id)
    bound = next(row for row in subtypes if row.data.get("type_ids"))
    types = {row.psa_id: row for row in world.credentials.choices.filter(kind="type", within=board.psa_id)}
    right = types[bound.data["type_ids"][0]]
    with pytest.raises(ValidationError) as refusal:
        setup.save_ticket_settings(world.client, {"subtype": bound})
    assert codes(refusal) == {"subtype": "no_type"}
    wrong = next((row for key, row in types.items() if key not in bound.data["type_ids"]), None)
    if wrong is not None:
        with pytest.raises(ValidationError) as refusal:
            setup.save_ticket_settings(world.client, {"type": wrong, "subtype": bound})
        assert codes(refusal) == {"subtype": "wrong_type"}
    saved = setup.save_ticket_settings(world.client, {"type": right, "subtype": bound})
    assert saved is not None
    assert value("subtype", world.client).value == bound


@pytest.mark.parity("S0-16")
def test_contacts_and_agreements_are_of_the_mapped_company(world: make.World) -> None:
    contacts = world.credentials.choices.filter(kind="contact")
    ours = next(row for row in contacts if row.data["company_id"] == "250")
    theirs = next(row for row in contacts if row.data["company_id"] != "250")
    assert ours in setup.setup_of(world.client).offered["contact"]
    assert theirs not in setup.setup_of(world.client).offered["contact"]
    with pytest.raises(ValidationError) as refusal:
        setup.save_ticket_settings(world.client, {"contact": theirs})
    assert codes(refusal) == {"contact": "wrong_company"}
    setup.save_ticket_settings(world.client, {"contact": ours})
    companies.link_company(world.client, world.credentials, psa_company_id="251", name="Another")
    assert "left out" in setup.setup_of(world.client).doubt("contact")


@pytest.mark.parity("S0-23")
def test_nothing_is_saved_when_one_field_is_wrong(world: make.World) -> None:
    with pytest.raises(ValidationError) as refusal:
        setup.save_ticket_settings(
            world.client, {"due_in_hours": 4, "summary_template": "{nobody}", "notes_per_hour": 61}
        )
    assert codes(refusal) == {"summary_template": "unknown_placeholder", "notes_per_hour": "out_of_range"}
    assert not TicketSettings.objects.filter(client=world.client).exists()
    assert not SettingChange.objects.exists()


# --- Who set it, reset, undo ------------------------------------------------------------------------------------------


def changes(level: Any) -> list[SettingChange]:
    newest = settinghistory.changes_of(level)[0]
    return list(newest.rows)


@pytest.mark.parity("S2-28")
def test_each_field_tells_who_set_it_and_when(world: make.World) -> None:
    setup.save_ticket_settings(world.client, {"due_in_hours": 4, "notes_per_hour": 2}, by="ann@example.com")
    setup.change_ticket_settings(world.client, {"due_in_hours": 8}, by="bob@example.com")
    authors = settinghistory.authors([world.client, world.organization])
    assert authors[world.client.pk, "due_in_hours"].changed_by == "bob@example.com"
    assert authors[world.client.pk, "notes_per_hour"].changed_by == "ann@example.com"
    assert [(row.field, row.old, row.new) for row in changes(world.client)] == [
        ("due_in_hours", {"value": 4}, {"value": 8})
    ]


def test_saving_the_same_again_is_no_change(world: make.World) -> None:
    setup.save_ticket_settings(world.client, {"due_in_hours": 4})
    setup.save_ticket_settings(world.client, {"due_in_hours": 4})
    assert SettingChange.objects.count() == 1


@pytest.mark.parity("S0-26", "S2-27")
def test_a_reset_can_be_previewed_and_undone(world: make.World) -> None:
    setup.save_ticket_settings(world.client, {"automatic_closure": False, "due_in_hours": 4})
    preview = {one.label: (one.now, one.then.value) for one in settingreset.preview(world.client)}
    assert preview == {"Automatic Ticket Closure": (False, True), "Due in (hours)": (4, None)}
    settingreset.reset(world.client, by="ann@example.com")
    assert value("automatic_closure", world.client).value is True
    done = settingreset.undo(changes(world.client), by="bob@example.com")
    assert done.left == []
    assert (value("automatic_closure", world.client).value, value("due_in_hours", world.client).value) == (
        False,
        4,
    )
    undone = settinghistory.changes_of(world.client)
    assert undone[1].undone_by is not None
    assert not undone[1].may_be_undone


def test_an_undo_leaves_what_was_edited_since(world: make.World) -> None:
    setup.save_ticket_settings(world.client, {"automatic_closure": False, "due_in_hours": 4})
    settingreset.reset(world.client)
    reset = changes(world.client)
    setup.change_ticket_settings(world.client, {"due_in_hours": 9}, by="ann@example.com")
    done = settingreset.undo(reset)
    assert done.fields == ["Automatic Ticket Closure"]
    assert "ann@example.com" in done.left[0]
    assert value("due_in_hours", world.client).value == 9
    with pytest.raises(NotUndone, match="Nothing is left to undo"):
        settingreset.undo(reset)


def test_an_undo_is_refused_after_30_days_and_for_what_does_not_fit_any_more(world: make.World) -> None:
    setup.save_ticket_settings(world.client, {"closing_status": own(world, "status", "Completed", "Backup")})
    settingreset.reset(world.client)
    reset = changes(world.client)
    other = world.credentials.choices.filter(kind="board").exclude(name="Backup").first()
    TicketSettings.objects.filter(organization=world.organization).update(board=other)
    with pytest.raises(NotUndone, match="is not of the board"):
        settingreset.undo(reset)
    assert not TicketSettings.objects.filter(client=world.client).exists()
    for row in reset:
        row.changed_at -= settinghistory.KEPT_FOR_UNDO
    with pytest.raises(NotUndone, match="older than 30 days"):
        settingreset.undo(reset)
