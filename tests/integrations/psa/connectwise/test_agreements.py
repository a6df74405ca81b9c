from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.agreements import decimal_text
from integrations.psa.errors import Misconfigured, NotPermitted, Unreachable
from integrations.psa.wanted import WantedLine, WantedLines
from integrations.sandbox import Sandbox

# Agreement 401 of the sandbox: Bakery Ott; lines 3001 OBS-GB 250, 3002 OBS-SERVER 2, 3003 OBS-DESKTOP 10.


def storage(quantity: str, **changes: Any) -> WantedLine:
    usual: dict[str, Any] = {"key": "storage", "product_id": "301", "product_name": "OBS-GB"}
    return WantedLine(quantity=Decimal(quantity), **{**usual, **changes})


def wanted(*lines: WantedLine, agreement_id: str = "401") -> WantedLines:
    return WantedLines(
        agreement_id=agreement_id, agreement_name="Backup Services", company_id="250", lines=lines
    )


def add_line(sandbox: Sandbox, psa: ConnectWisePsa, **changes: Any) -> str:
    plan = psa.plan_lines(
        wanted(storage("5", product_id="310", product_name="ACCOUNT", create_if_missing=True, **changes))
    )
    return psa.apply(plan).items[0].record_id


def test_a_changed_quantity_is_one_write_after_one_read(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("262.5")))
    applied = psa.apply(plan)
    assert (psa.transport.reads, psa.transport.writes) == (1, 1)
    assert plan.items[0].before == {"quantity": "250"}
    assert plan.items[0].after == {"quantity": "262.5"}
    assert applied.items[0].answer["quantity"] == "262.5"
    assert psa.lines("401")[0].quantity == "262.5"


@pytest.mark.parametrize("quantity", ["250", "250.0", "2.5E+2"])
def test_the_same_quantity_is_left_alone(quantity: str, psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage(quantity)))
    assert (plan.items, plan.unchanged) == ((), ("storage",))


def test_quantity_and_invoice_text_go_in_one_write(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("300", invoice_description="300 GB for SRV-01")))
    psa.apply(plan)
    assert len(plan.items[0].request.body) == 2
    line = psa.lines("401")[0]
    assert (line.quantity, line.invoice_description) == ("300", "300 GB for SRV-01")


def test_an_invoice_text_is_cut_to_what_connectwise_takes(psa: ConnectWisePsa) -> None:
    text = "x" * 7000
    psa.apply(psa.plan_lines(wanted(storage("250", invoice_description=text))))
    assert len(psa.lines("401")[0].invoice_description) == 6000
    assert psa.plan_lines(wanted(storage("250", invoice_description=text))).items == ()


def test_an_invoice_text_is_left_alone_unless_one_is_wanted(psa: ConnectWisePsa) -> None:
    psa.apply(psa.plan_lines(wanted(storage("300"))))
    assert psa.lines("401")[0].invoice_description == "Online Backup Storage (GB)"


def test_a_chosen_line_wins_over_its_product(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("7", line_id="3003")))
    assert plan.items[0].record_id == "3003"


def test_the_serial_number_tells_lines_of_one_product_apart(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    first = add_line(sandbox, psa, serial_number="EFS-19652")
    psa.apply(psa.plan_lines(wanted()))
    body = {"product": {"id": 310}, "quantity": 1, "billCustomer": "Billable", "serialNumber": "EFS-19653"}
    second = str(psa._rest.write("POST", "/finance/agreements/401/additions", body)["id"])
    account = {"product_id": "310", "product_name": "ACCOUNT"}
    assert (
        psa.plan_lines(wanted(storage("9", serial_number="EFS-19653", **account))).items[0].record_id
        == second
    )
    assert (
        psa.plan_lines(wanted(storage("9", serial_number="EFS-19652", **account))).items[0].record_id == first
    )
    finding = psa.plan_lines(wanted(storage("9", **account))).findings[0]
    assert finding.code == "ambiguous_line"
    assert first in finding.text
    assert second in finding.text


def test_a_product_that_stands_only_once_needs_no_serial_number(psa: ConnectWisePsa) -> None:
    assert psa.plan_lines(wanted(storage("9", serial_number="EFS-77"))).items[0].record_id == "3001"


def test_two_services_on_one_line_are_for_a_person(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("9"), storage("8", key="more")))
    assert plan.items == ()
    assert [finding.code for finding in plan.findings] == ["ambiguous_line", "ambiguous_line"]


def test_a_cancelled_line_is_as_good_as_none(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("cancel", addition=3001, date="2026-01-31")
    plan = psa.plan_lines(wanted(storage("300")))
    assert plan.items == ()
    assert plan.findings[0].code == "line_missing"
    assert "2026-01-31" in plan.findings[0].text


def test_a_line_that_is_cancelled_later_is_still_billed(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("cancel", addition=3001, date="2099-01-31")
    assert psa.plan_lines(wanted(storage("300"))).items[0].record_id == "3001"


def test_a_missing_line_is_created_when_that_is_wanted(psa: ConnectWisePsa) -> None:
    accounts = storage("6", product_id="310", product_name="ACCOUNT", serial_number="EFS-19652")
    assert psa.plan_lines(wanted(accounts)).findings[0].code == "line_missing"
    plan = psa.plan_lines(
        wanted(
            storage(
                "6", product_id="310", product_name="ACCOUNT", serial_number="EFS-1", create_if_missing=True
            )
        )
    )
    created = psa.apply(plan).items[0]
    line = next(line for line in psa.lines("401") if line.id == created.record_id)
    assert (line.product_id, line.quantity, line.serial_number) == ("310", "6", "EFS-1")


def test_a_chosen_line_that_is_gone_is_never_created_anew(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("6", line_id="99999", create_if_missing=True)))
    assert plan.items == ()
    assert plan.findings[0].code == "line_missing"


def test_an_error_half_way_tells_what_was_done(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    server = WantedLine(key="server", product_id="302", product_name="OBS-SERVER", quantity=Decimal(3))
    plan = psa.plan_lines(wanted(storage("300"), server))
    sandbox.control.fault("drop", path="3002")
    with pytest.raises(Unreachable) as caught:
        psa.apply(plan)
    assert [item.key for item in caught.value.applied] == ["storage"]
    sandbox.control.clear_faults()
    again = psa.plan_lines(wanted(storage("300"), server))
    assert [item.key for item in again.items] == ["server"]


def test_a_product_that_vanished_is_named(psa: ConnectWisePsa) -> None:
    gone = storage("1", product_id="99999", product_name="GONE", create_if_missing=True)
    with pytest.raises(Misconfigured) as caught:
        psa.apply(psa.plan_lines(wanted(gone)))
    assert caught.value.field == "product"


def test_the_missing_right_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.role(agreements={"inquire": "None"})
    with pytest.raises(NotPermitted) as caught:
        psa.lines("401")
    assert caught.value.module == "Finance > Agreements"


def test_the_lines_stand_on_the_plan_for_the_preview(psa: ConnectWisePsa) -> None:
    plan = psa.plan_lines(wanted(storage("300")))
    assert [line["id"] for line in plan.found["lines"]] == ["3001", "3002", "3003"]
    assert len(plan.digest) == 64


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (250.0, "250"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (100, "100"),
        (None, "0"),
        ("x", "0"),
        (1e-7, "0.0000001"),
        ("1E+999999999", "0"),
        ([], "0"),
    ],
)
def test_amounts_are_plain_decimal_text(value: Any, text: str) -> None:
    assert decimal_text(value) == text
