"""The doctor's verdict is what really works, for random roles; `make proofs` rolls 200 of them at each PSA."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from alerts.proving import roles
from alerts.proving.roles import Rolled, Tally
from integrations.psa.autotask import permissions as autotask
from integrations.psa.connectwise import permissions as connectwise
from integrations.sandbox import running_sandbox

ROLES = 40


@pytest.mark.parametrize("kind", ["connectwise", "autotask"])
def test_what_the_doctor_says_is_what_works_and_he_writes_nothing(kind: str) -> None:
    tally = roles.storm(kind, ROLES, seed=7)
    assert tally.wrong == []
    assert tally.writes == []
    assert tally.roles == ROLES
    assert tally.held, (tally.works, tally.broken)
    assert tally.most_calls <= 18


def examined(kind: str, role: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Tally:
    """One role that is chosen, not rolled."""
    tally = Tally(kind)
    with running_sandbox(kind=kind) as sandbox:
        house = roles.HOUSES[kind](sandbox)

        def take_rights(dice: random.Random) -> Rolled:
            sandbox.control.role(**role)
            return Rolled(str(role), is_told=True)

        monkeypatch.setattr(house, "take_rights", take_rights)
        with roles.connected(house) as psa:
            roles.examine(house, psa, 0, random.Random(1), tally)
    return tally


OVERLOOKED = [
    (connectwise, "connectwise", "Service Desk > Close Service Tickets", {"close_service_tickets": "None"}),
    (connectwise, "connectwise", "Finance > Agreements (Additions)", {"agreements": {"allow": ""}}),
    (
        autotask,
        "autotask",
        "Contracts (ContractServiceAdjustments)",
        {"contract_services": {"create": "None"}},
    ),
    (autotask, "autotask", "Service Desk > Tickets (TicketNotes)", {"ticket_notes": {"create": "None"}}),
]


@pytest.mark.parametrize(("module", "kind", "name", "role"), OVERLOOKED, ids=lambda value: str(value)[:40])
def test_a_doctor_who_overlooks_a_right_is_found_out(
    module: Any, kind: str, name: str, role: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examined(kind, role, monkeypatch).wrong == []
    areas = [area for area in module.AREAS if area.name != name]
    assert len(areas) == len(module.AREAS) - 1
    monkeypatch.setattr(module, "AREAS", areas)
    assert len(examined(kind, role, monkeypatch).wrong) >= 1


def test_a_doctor_who_asks_for_too_much_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete on the catalogue, as others demand it: nothing breaks without it."""
    areas = [
        replace(area, needs=tuple(replace(need, levels=(*need.levels, "Delete")) for need in area.needs))
        if area.function == "Product Catalog"
        else area
        for area in connectwise.AREAS
    ]
    monkeypatch.setattr(connectwise, "AREAS", areas)
    assert "choices works, told otherwise" in examined("connectwise", {}, monkeypatch).wrong[0]


def test_what_writes_is_told_from_what_reads() -> None:
    assert roles.is_read("POST", "/ATServicesRest/V1.0/Tickets/query")
    assert not roles.is_read("POST", "/ATServicesRest/V1.0/Tickets")
    assert not roles.is_read("PATCH", "/v4_6_release/apis/3.0/service/tickets/0")
