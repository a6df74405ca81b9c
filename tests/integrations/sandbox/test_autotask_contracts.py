"""Units of contract services: periods, adjustments, posting, and everything that refuses a change."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from integrations.sandbox.autotask.billing import months_after, periods
from tests.integrations.sandbox.autotask_caller import (
    CONTRACT,
    MAILBOX,
    SERVER,
    STORAGE,
    STORAGE_LINE,
    AutotaskCaller,
    first_of_month,
    on,
    where,
)

FIRST = first_of_month()
MIDDLE = months_after(FIRST, 1) + timedelta(days=14)
NEXT = months_after(FIRST, 1)
DAY = timedelta(days=1)


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def contract_from(start, end, period=1):
    midnight = "T00:00:00.000"
    return {"startDate": start + midnight, "endDate": end + midnight, "contractPeriodType": period}


@pytest.mark.parametrize(
    ("contract", "firsts"),
    [
        (contract_from("2026-01-31", "2026-04-15"), ["2026-01-31", "2026-02-28", "2026-03-31"]),
        (contract_from("2026-01-15", "2026-07-14", 2), ["2026-01-15", "2026-04-15"]),
        (contract_from("2024-02-29", "2026-02-28", 4), ["2024-02-29", "2025-02-28", "2026-02-28"]),
    ],
)
def test_periods_step_from_the_start_of_the_contract(contract, firsts):
    found = periods(contract)
    assert [on(one.first) for one in found] == firsts
    assert on(found[-1].last) == contract["endDate"][:10]
    assert all(after.first - before.last == DAY for before, after in pairwise(found))


def test_there_is_a_row_of_units_for_every_period_and_a_few_ahead(ask):
    rows = ask.query("ContractServiceUnits", where("contractServiceID", STORAGE_LINE))
    starts = [date.fromisoformat(row["startDate"][:10]) for row in rows]
    assert starts == [months_after(starts[0], number) for number in range(len(rows))]
    assert max(starts) == months_after(FIRST, 2)
    assert {row["units"] for row in rows} == {250}


def test_an_adjustment_changes_everything_from_its_day_on(ask, autotask):
    reply = ask.adjust(41, NEXT)
    assert (reply.status, reply.json) == (200, {"itemId": None})
    assert [ask.units(day) for day in (FIRST, NEXT, months_after(NEXT, 1))] == [250, 291, 291]
    (line,) = autotask.control.journal("adjustment")
    assert (line["contractServiceID"], line["unitChange"]) == (STORAGE_LINE, 41)


def test_a_change_within_a_period_splits_its_row(ask):
    ask.adjust(-50, MIDDLE)
    assert [ask.units(day) for day in (NEXT, MIDDLE - DAY, MIDDLE)] == [250, 250, 200]
    rows = ask.query("ContractServiceUnits", where("contractServiceID", STORAGE_LINE))
    price = next(row["price"] for row in rows if row["startDate"][:10] == on(MIDDLE))
    assert price == 200 * 0.25


def test_an_adjustment_far_ahead_leaves_the_months_before_alone(ask):
    far = months_after(FIRST, 6)
    ask.adjust(10, far)
    assert [ask.units(day) for day in (far - DAY, far)] == [250, 260]


def test_a_service_the_contract_has_not_is_added(ask):
    assert ask.adjust(41, NEXT, serviceID=MAILBOX).status == 200
    (line,) = ask.query("ContractServices", where("contractID", CONTRACT), where("serviceID", MAILBOX))
    assert line["unitPrice"] == 3.5
    assert [ask.units(day, line["id"]) for day in (FIRST, NEXT)] == [None, 41]


def test_the_same_service_twice_is_told_apart_by_its_line(ask):
    assert ask.adjust(5, NEXT, allowRepeatService=True).status == 200
    lines = ask.query("ContractServices", where("contractID", CONTRACT), where("serviceID", STORAGE))
    assert len(lines) == 2
    assert "specify contractServiceID" in ask.adjust(1, NEXT).json["errors"][0]
    second = lines[1]["id"]
    assert ask.adjust(1, NEXT, serviceID=None, contractServiceID=second).status == 200
    assert ask.units(NEXT, second) == 6


def test_a_price_may_change_without_units(ask):
    ask.adjust(0, NEXT, adjustedUnitPrice=0.5)
    rows = ask.query("ContractServiceUnits", where("contractServiceID", STORAGE_LINE))
    prices = {row["startDate"][:10]: row["price"] for row in rows}
    assert (prices[on(FIRST)], prices[on(NEXT)]) == (62.5, 125.0)


@pytest.mark.parametrize(
    ("change", "day", "fields", "error"),
    [
        (-251, NEXT, {}, "negative"),
        (1, date(FIRST.year - 1, 12, 31), {}, "must be between the start date and end date"),
        (1, date(FIRST.year + 2, 1, 1), {}, "must be between the start date and end date"),
        (1, NEXT, {"contractID": 9999}, "contractID of type: Contract"),
        (1, NEXT, {"contractID": None}, "required field contractID"),
        (1, NEXT, {"serviceID": None}, "required field serviceID"),
        (1, NEXT, {"serviceID": 999}, "serviceID of type: Service"),
        (1, NEXT, {"serviceID": None, "contractServiceID": 8004}, "contractServiceID"),
        (1, NEXT, {"effectiveDate": None}, "required field effectiveDate"),
        (1.5, NEXT, {}, "not a valid integer"),
        (-1, NEXT, {"serviceID": MAILBOX}, "negative"),
    ],
)
def test_an_adjustment_that_cannot_be_changes_nothing(ask, autotask, change, day, fields, error):
    before = autotask.control.get("contracts", id=CONTRACT)
    reply = ask.adjust(change, day, **fields)
    assert reply.status == 500
    assert error in reply.json["errors"][0]
    assert autotask.control.get("contracts", id=CONTRACT) == before
    assert autotask.control.get("adjustments") == []


def test_a_posted_period_is_closed_to_changes(ask, autotask):
    autotask.control.technician("post", contract=CONTRACT, date=on(FIRST))
    assert "already approved and posted" in ask.adjust(1, FIRST).json["errors"][0]
    assert ask.adjust(1, NEXT).status == 200
    autotask.control.technician("unpost", contract=CONTRACT, date=on(FIRST))
    assert ask.adjust(1, FIRST).status == 200


def test_posting_leaves_billing_items_for_each_service(ask, autotask):
    ask.adjust(10, MIDDLE)
    before = len(ask.query("BillingItems", where("contractID", CONTRACT)))
    done = autotask.control.technician("post", contract=CONTRACT, date=on(MIDDLE))
    items = ask.query("BillingItems", where("id", done["items"], "in"))
    assert len(ask.query("BillingItems", where("contractID", CONTRACT))) == before + len(items)
    storage = [one for one in items if one["contractServiceID"] == STORAGE_LINE]
    assert [one["quantity"] for one in storage] == [250, 250, 260]
    row = ask.get("ContractServiceUnits", storage[0]["contractServicePeriodID"])
    assert row["approveAndPostDate"] == storage[0]["postedDate"]
    assert storage[1]["totalAmount"] < storage[0]["totalAmount"]


def test_the_past_is_posted_and_this_month_is_not(ask):
    rows = ask.query("ContractServiceUnits", where("contractServiceID", STORAGE_LINE))
    posted = {row["startDate"][:10] for row in rows if row["approveAndPostDate"]}
    assert posted == {row["startDate"][:10] for row in rows if row["startDate"][:10] < on(FIRST)}


@pytest.mark.parametrize(
    ("switch", "prepare"),
    [
        ({"inactive_contract": "accept"}, {"inactivate": {"contract": CONTRACT}}),
        ({"posted_period": "accept"}, {"post": {"contract": CONTRACT, "date": on(NEXT)}}),
    ],
    ids=["inactive", "posted"],
)
def test_what_is_unsure_can_be_switched(ask, autotask, switch, prepare):
    for action, body in prepare.items():
        autotask.control.technician(action, **body)
    assert ask.adjust(1, NEXT).status == 500
    autotask.control.switches(**switch)
    assert ask.adjust(1, NEXT).status == 200


def test_two_changes_of_one_day_clash_within_a_period_only(ask, autotask):
    assert [ask.adjust(1, day).status for day in (NEXT, NEXT, MIDDLE)] == [200, 200, 200]
    assert "duplicate data into contract_service_period" in ask.adjust(1, MIDDLE).json["errors"][0]
    autotask.control.switches(same_day_adjustment="accept")
    assert ask.adjust(1, MIDDLE).status == 200
    autotask.control.switches(same_day_adjustment="reject")
    assert ask.adjust(1, NEXT).status == 500
    assert ask.units(MIDDLE) == 254


def test_down_to_nothing_may_be_refused(ask, autotask):
    autotask.control.switches(zero_units="reject")
    assert "cannot be 0" in ask.adjust(-250, NEXT).json["errors"][0]
    autotask.control.switches(zero_units="accept")
    assert ask.adjust(-250, NEXT).status == 200
    assert ask.units(NEXT) == 0


def test_a_service_made_as_such_begins_with_the_contract(ask, autotask):
    body = {"serviceID": MAILBOX, "unitPrice": 4.0, "invoiceDescription": "Archive"}
    line = ask.create(f"/Contracts/{CONTRACT}/Services", body)
    assert ask.get("ContractServices", line)["unitPrice"] == 4.0
    assert ask.units(FIRST, line) == 1
    assert "already exists" in ask.errors("POST", f"/Contracts/{CONTRACT}/Services", body)[0]
    ask(
        "PATCH", f"/Contracts/{CONTRACT}/Services", {"id": line, "invoiceDescription": "Mail", "unitPrice": 9}
    )
    after = ask.get("ContractServices", line)
    assert (after["invoiceDescription"], after["unitPrice"]) == ("Mail", 4.0)


def test_a_contract_can_be_extended_and_cut(ask):
    end = date(FIRST.year + 2, 1, 31)
    ask("PATCH", "/Contracts", {"id": CONTRACT, "endDate": on(end)})
    assert ask.adjust(1, date(FIRST.year + 2, 1, 1)).status == 200
    assert ask("PATCH", "/Contracts", {"id": CONTRACT, "endDate": on(MIDDLE)}).status == 200
    rows = ask.query("ContractServiceUnits", where("contractServiceID", STORAGE_LINE))
    assert max(row["endDate"] for row in rows)[:10] == on(MIDDLE)


def test_other_contracts_take_no_services(ask):
    (project,) = ask.query("Contracts", where("contractType", 1))
    reply = ask.adjust(1, NEXT, contractID=project["id"])
    assert "Recurring Service" in reply.json["errors"][0]


def test_the_seed_has_an_inactive_and_an_expired_contract(ask):
    (inactive,) = ask.query("Contracts", where("status", 0))
    assert inactive["contractName"].startswith("Managed Services")
    (expired,) = ask.query("Contracts", where("endDate", on(FIRST), "lt"))
    assert expired["contractName"].startswith("Last Year")


def test_bundles_work_the_same(ask):
    (line,) = ask.query("ContractServiceBundles", where("serviceBundleID", 351))
    body = {"serviceBundleID": 351, "effectiveDate": on(NEXT), "unitChange": 2}
    reply = ask("POST", f"/Contracts/{line['contractID']}/ServiceBundleAdjustments", body)
    assert reply.json == {"itemId": None}
    rows = ask.query("ContractServiceBundleUnits", where("contractServiceBundleID", line["id"]))
    assert {row["startDate"][:10]: row["units"] for row in rows}[on(NEXT)] == 5


def test_adjustments_are_never_shown(ask):
    assert ask("POST", "/ContractServiceAdjustments/query", {"filter": []}).status == 404
    assert ask("GET", "/ContractServiceAdjustments/1").status == 404
    assert ask("GET", f"/Contracts/{CONTRACT}/ServiceAdjustments").status == 405


def test_a_persons_adjustment_passes_what_is_posted(ask, autotask):
    autotask.control.technician("post", contract=CONTRACT)
    autotask.control.technician("adjustment", contract=CONTRACT, service=SERVER, date=on(FIRST), change=1)
    assert ask.units(FIRST, 8002) == 3


def test_a_charge_counts_fractions(ask):
    body = {
        "name": "Overage",
        "datePurchased": on(FIRST),
        "chargeType": 1,
        "unitQuantity": 1.5,
        "unitPrice": 2.0,
    }
    made = ask.create(f"/Contracts/{CONTRACT}/Charges", body)
    charge = ask.get("ContractCharges", made)
    assert (charge["billableAmount"], charge["isBilled"]) == (3.0, False)
