"""Approve and post: what a person does in Autotask at the end of a period, which makes billing items and locks it.

No API can do it; the technician of the control door can (Autotask REST v1.0, BillingItems).
"""

from datetime import date

from integrations.sandbox.autotask.billing import BOTH, BUNDLES, Names, periods, roll_forward
from integrations.sandbox.autotask.desk import Desk, day_of, stored_day
from integrations.sandbox.autotask.picklists import RECURRING_BUNDLE_ITEM, RECURRING_SERVICE_ITEM
from integrations.sandbox.autotask.store import Record


def post_period(desk: Desk, contract: Record, day: date) -> list[Record]:
    """Post every period up to the one that holds `day`; answers the billing items made."""
    roll_forward(desk, contract, until=day)
    last = next((period.last for period in periods(contract) if period.first <= day <= period.last), day)
    made = []
    for names in BOTH:
        for row in desk.store.where(names.units, "contractID", contract["id"]):
            if row["endDate"] <= stored_day(last) and not row.get("approveAndPostDate"):
                made.append(_post(desk, names, contract, row))
    return made


def unpost_period(desk: Desk, contract: Record, day: date) -> int:
    """Take the posting of the periods from `day` on back, and their billing items away."""
    undone = 0
    for names in BOTH:
        for row in desk.store.where(names.units, "contractID", contract["id"]):
            if row.get("approveAndPostDate") and row["endDate"] >= stored_day(day):
                desk.store.put(names.units, {**row, "approveAndPostDate": None})
                undone += 1
                for item in desk.store.where("BillingItems", "contractID", contract["id"]):
                    if item.get(_period_field(names)) == row["id"]:
                        desk.store.delete("BillingItems", item["id"])
    return undone


def _post(desk: Desk, names: Names, contract: Record, row: Record) -> Record:
    now = desk.now()
    desk.store.put(names.units, {**row, "approveAndPostDate": now})
    item = desk.store.get(names.catalog, row[names.item]) or {}
    is_bundle = names is BUNDLES
    amount = round(row["price"] * _share(contract, row), 2)
    return desk.store.put(
        "BillingItems",
        {
            "id": desk.store.new_id("BillingItems"),
            "billingItemType": RECURRING_BUNDLE_ITEM if is_bundle else RECURRING_SERVICE_ITEM,
            "subType": 201 if is_bundle else 200,
            "companyID": contract["companyID"],
            "contractID": contract["id"],
            names.line: row[names.line],
            names.item: row[names.item],
            _period_field(names): row["id"],
            "billingCodeID": item.get("billingCodeID"),
            "itemName": item.get("name"),
            "itemDate": row["startDate"],
            "quantity": float(row["units"]),
            "rate": row["_price"],
            "extendedPrice": amount,
            "totalAmount": amount,
            "ourCost": row["cost"],
            "nonBillable": 0,
            "postedDate": now,
            "postedOnTime": now,
            "itemApproverID": desk.actor,
        },
    )


def _period_field(names: Names) -> str:
    return "contractServiceBundlePeriodID" if names is BUNDLES else "contractServicePeriodID"


def _share(contract: Record, row: Record) -> float:
    """Which part of its period a row covers: a change in mid-period is prorated by days."""
    first, last = day_of(row["startDate"]), day_of(row["endDate"])
    whole = next((one for one in periods(contract) if one.first <= first <= one.last), None)
    days = (whole.last - whole.first).days + 1 if whole else 1
    return ((last - first).days + 1) / days
