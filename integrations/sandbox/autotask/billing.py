"""How much of a service does a contract bill, from which day on? The engine behind recurring service contracts.

A contract has billing periods from its start date on; a contract service has a row of units for every period, and one
more for every change inside a period. Quantities change by adjustments only, which name a day and a difference, are
never shown again and cannot be taken back (Autotask REST v1.0, ContractServiceAdjustments and ContractServiceUnits).
Service bundles work the same under other names.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from integrations.sandbox.autotask.answers import Refused, missing, no_such_reference
from integrations.sandbox.autotask.desk import Desk, day_of, stored_day
from integrations.sandbox.autotask.picklists import RECURRING_SERVICE
from integrations.sandbox.autotask.store import Record

POSTED = (
    "Unable to make changes as it would result in the deletion/modification of an already approved and posted "
    "contract period."
)
DUPLICATE = "Attempt to insert duplicate data into contract_service_period"
MONTHS_OF_PERIOD = {1: 1, 2: 3, 3: 6, 4: 12}
_SUFFIX = "; on record number [1]."
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Names:
    """What services and bundles call the same things."""

    catalog: str
    item: str
    lines: str
    line: str
    units: str
    adjustments: str
    repeat: str


SERVICES = Names(
    "Services",
    "serviceID",
    "ContractServices",
    "contractServiceID",
    "ContractServiceUnits",
    "ContractServiceAdjustments",
    "allowRepeatService",
)
BUNDLES = Names(
    "ServiceBundles",
    "serviceBundleID",
    "ContractServiceBundles",
    "contractServiceBundleID",
    "ContractServiceBundleUnits",
    "ContractServiceBundleAdjustments",
    "allowRepeatServiceBundle",
)
BOTH = (SERVICES, BUNDLES)
NAMES_OF = {names.adjustments: names for names in BOTH} | {names.lines: names for names in BOTH}


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last day of a month that is too short."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - _DAY).day))


def periods(contract: Record) -> tuple[Period, ...]:
    """The billing periods of a contract, in order; the last is cut at its end."""
    months = MONTHS_OF_PERIOD.get(contract.get("contractPeriodType", 1), 1)
    return _periods(contract["startDate"][:10], contract["endDate"][:10], months)


@lru_cache(maxsize=256)
def _periods(start: str, end: str, months: int) -> tuple[Period, ...]:
    first, last = day_of(start), day_of(end)
    found: list[Period] = []
    while (begin := months_after(first, len(found) * months)) <= last:
        found.append(Period(begin, min(months_after(first, (len(found) + 1) * months) - _DAY, last)))
    return tuple(found)


def periods_in_sight(desk: Desk, contract: Record, first: date, until: date) -> list[Period]:
    """Those that end on `first` or later, begin no later than `until` or are among the next few from today."""
    found: list[Period] = []
    ahead = 0
    for period in periods(contract):
        ahead += period.first > desk.today()
        if ahead > desk.switches.periods_ahead and period.first > until:
            break
        if period.last >= first:
            found.append(Period(max(period.first, first), period.last))
    return found


def unit_row(names: Names, line: Record, period: Period, units: int, **kept: Any) -> Record:
    price, cost = line.get("unitPrice", 0.0), line.get("unitCost", 0.0)
    row = {
        "contractID": line["contractID"],
        names.line: line["id"],
        names.item: line[names.item],
        "startDate": stored_day(period.first),
        "endDate": stored_day(period.last),
        "_price": price,
        "_cost": cost,
        **kept,
    }
    return with_units(row, units)


def with_units(row: Record, units: int) -> Record:
    price, cost = round(units * row["_price"], 4), round(units * row["_cost"], 4)
    return {**row, "units": units, "price": price, "internalCurrencyPrice": price, "cost": cost}


def begin_line(desk: Desk, names: Names, line: Record, first: date, units: int) -> None:
    """Unit rows of a new contract service, from a day on."""
    for row in _fresh_rows(desk, names, line, first, units):
        desk.store.put(names.units, row)


def _fresh_rows(desk: Desk, names: Names, line: Record, first: date, units: int) -> list[Record]:
    contract = desk.store.get("Contracts", line["contractID"]) or {}
    found = periods_in_sight(desk, contract, first, first)
    return [{"id": desk.store.new_id(names.units), **unit_row(names, line, one, units)} for one in found]


def finish_line(desk: Desk, record: Record, before: Record | None) -> Record:
    """A contract service created as such: prices default to the catalogue's; the same service only once."""
    names = SERVICES if "serviceID" in record else BUNDLES
    if before is not None:
        return record
    contract = desk.store.get("Contracts", record["contractID"]) or {}
    _require_recurring(contract)
    lines = desk.store.where(names.lines, "contractID", contract["id"])
    if any(line[names.item] == record[names.item] for line in lines):
        raise Refused(f"The {names.item} already exists on this contract." + _SUFFIX)
    return with_prices(desk, names, record)


def with_prices(desk: Desk, names: Names, record: Record) -> Record:
    item = desk.store.get(names.catalog, record[names.item]) or {}
    price = record.get("unitPrice", item.get("unitPrice", 0.0))
    prices = {"unitPrice": price, "unitCost": record.get("unitCost", item.get("unitCost", 0.0))}
    texts = {"invoiceDescription": item.get("invoiceDescription"), "internalDescription": item["name"][:100]}
    return {**texts, **record, **prices, "internalCurrencyUnitPrice": price}


def after_line(desk: Desk, record: Record, before: Record | None) -> None:
    units = desk.switches.units_of_new_service
    if before is None and units:
        names = SERVICES if "serviceID" in record else BUNDLES
        contract = desk.store.get("Contracts", record["contractID"]) or {}
        begin_line(desk, names, record, day_of(contract["startDate"]), units)


def finish_contract(desk: Desk, record: Record, before: Record | None) -> Record:
    if record["endDate"] < record["startDate"]:
        raise Refused("The contract endDate must not be before its startDate.")
    if before is not None:
        for names in BOTH:
            _refuse_posted(desk, _rows_after_end(desk, names, record))
    defaults: Record = {"contractPeriodType": 1, "isDefaultContract": False, "isCompliant": True}
    return {**defaults, **record, "lastModifiedDateTime": desk.now()}


def after_contract(desk: Desk, record: Record, before: Record | None) -> None:
    """A later end brings more unit rows, an earlier one cuts them off."""
    if before is not None and before["endDate"] != record["endDate"]:
        _cut_rows(desk, record)
        roll_forward(desk, record)


def roll_forward(desk: Desk, contract: Record, until: date | None = None) -> None:
    """Write the unit rows of periods that have come into sight since, or that a change far ahead needs."""
    for names in BOTH:
        for line in desk.store.where(names.lines, "contractID", contract["id"]):
            rows = rows_of(desk, names, line["id"])
            last = rows[-1] if rows else {}
            if not last or last["endDate"] >= contract["endDate"]:
                continue
            first = day_of(last["endDate"]) + _DAY
            prices = {"_price": last["_price"], "_cost": last["_cost"]}
            for period in periods_in_sight(desk, contract, first, until or date.min):
                row = unit_row(names, line, period, last["units"], **prices)
                desk.store.put(names.units, {"id": desk.store.new_id(names.units), **row})


def rows_of(desk: Desk, names: Names, line_id: int) -> list[Record]:
    """The unit rows of a contract service in the order of their days."""
    return sorted(desk.store.where(names.units, names.line, line_id), key=lambda row: row["startDate"])


def adjust(desk: Desk, names: Names, given: Record) -> None:
    """Change the units of a contract service from a day on; nothing is written unless all of it can be."""
    contract, day, change = _checked(desk, given)
    line = _line(desk, names, contract, given)
    if line is None:
        line = _add_line(desk, names, contract, given, day=day, change=change)
    else:
        roll_forward(desk, contract, until=day)
        desk.store.commit()
        for row in _changed_rows(desk, names, line, given, day=day, change=change):
            desk.store.put(names.units, row)
        _reprice(desk, names, line, given)
    kept = {**given, names.line: line["id"], "effectiveDate": stored_day(day)}
    record = {"id": desk.store.new_id(names.adjustments), **kept}
    saved = desk.store.put(names.adjustments, record)
    desk.store.log("adjustment", saved, request=desk.request_number, at=desk.clock())


def _checked(desk: Desk, given: Record) -> tuple[Record, date, int]:
    contract = desk.store.get("Contracts", given.get("contractID", -1))
    if contract is None:
        raise Refused(
            (
                missing("contractID")
                if "contractID" not in given
                else no_such_reference("contractID", "Contract")
            )
            + _SUFFIX
        )
    _require_recurring(contract)
    if contract["status"] != 1 and desk.switches.inactive_contract == "reject" and not desk.is_technician:
        raise Refused("The Contract referenced by contractID is not active." + _SUFFIX)
    day = day_of(given["effectiveDate"])
    if not contract["startDate"] <= stored_day(day) <= contract["endDate"]:
        raise Refused(
            "ContractServiceAdjustment effectiveDate must be between the start date and end date of the Contract "
            "referenced by contractID."
        )
    return contract, day, int(given.get("unitChange", 0))


def _require_recurring(contract: Record) -> None:
    if contract.get("contractType") != RECURRING_SERVICE:
        raise Refused("The Contract referenced by contractID must be a Recurring Service contract." + _SUFFIX)


def _line(desk: Desk, names: Names, contract: Record, given: Record) -> Record | None:
    """The contract service that is meant; None when there is none yet or another is wanted."""
    if names.line in given:
        line = desk.store.get(names.lines, given[names.line])
        if line is None or line["contractID"] != contract["id"]:
            raise Refused(no_such_reference(names.line, names.lines[:-1]) + _SUFFIX)
        return line
    if names.item not in given:
        raise Refused(missing(names.item) + _SUFFIX)
    lines = desk.store.where(names.lines, "contractID", contract["id"])
    found = [line for line in lines if line[names.item] == given[names.item]]
    if given.get(names.repeat) or not found:
        return None
    if len(found) > 1:
        raise Refused(f"More than one {names.line} has this {names.item}; specify {names.line}." + _SUFFIX)
    return found[0]


def _add_line(desk: Desk, names: Names, contract: Record, given: Record, *, day: date, change: int) -> Record:
    """An adjustment of a service that the contract does not have yet adds it."""
    if change < 0:
        raise Refused(_negative())
    prices = {"unitPrice": given.get("adjustedUnitPrice"), "unitCost": given.get("adjustedUnitCost")}
    values = {"contractID": contract["id"], names.item: given[names.item]}
    values |= {name: value for name, value in prices.items() if value is not None}
    line = {"id": desk.store.new_id(names.lines), **with_prices(desk, names, values)}
    desk.store.put(names.lines, line)
    begin_line(desk, names, line, day, change)
    return line


def _changed_rows(
    desk: Desk, names: Names, line: Record, given: Record, *, day: date, change: int
) -> list[Record]:
    rows = [row for row in rows_of(desk, names, line["id"]) if row["endDate"] >= stored_day(day)]
    rows = rows or _fresh_rows(desk, names, line, day, 0)
    _refuse_posted(desk, rows)
    _refuse_same_day(desk, names, line, rows[0], day)
    if rows[0]["startDate"] < stored_day(day):
        early = {**rows[0], "endDate": stored_day(day - _DAY)}
        split = {**rows[0], "id": desk.store.new_id(names.units), "startDate": stored_day(day)}
        rows = [split, *rows[1:]]
    else:
        early = None
    later = [with_units(_priced(row, given), row["units"] + change) for row in rows]
    if any(row["units"] < 0 for row in later):
        raise Refused(_negative())
    if change and any(row["units"] == 0 for row in later) and desk.switches.zero_units == "reject":
        raise Refused("The unit count cannot be 0." + _SUFFIX)
    return [early, *later] if early else later


def _refuse_posted(desk: Desk, rows: list[Record]) -> None:
    posted = any(row.get("approveAndPostDate") for row in rows)
    if posted and desk.switches.posted_period == "reject" and not desk.is_technician:
        raise Refused(POSTED)


def _refuse_same_day(desk: Desk, names: Names, line: Record, row: Record, day: date) -> None:
    rule = desk.switches.same_day_adjustment
    if rule == "accept" or desk.is_technician:
        return
    ledger = desk.store.where(names.adjustments, "contractID", line["contractID"])
    same = [
        one for one in ledger if one.get(names.line) == line["id"] and day_of(one["effectiveDate"]) == day
    ]
    contract = desk.store.get("Contracts", line["contractID"]) or {}
    opens_period = any(period.first == day for period in periods(contract))
    if same and (rule == "reject" or not opens_period):
        raise Refused(DUPLICATE + _SUFFIX)


def _priced(row: Record, given: Record) -> Record:
    price, cost = given.get("adjustedUnitPrice", row["_price"]), given.get("adjustedUnitCost", row["_cost"])
    return {**row, "_price": price, "_cost": cost}


def _reprice(desk: Desk, names: Names, line: Record, given: Record) -> None:
    if "adjustedUnitPrice" in given or "adjustedUnitCost" in given:
        price = given.get("adjustedUnitPrice", line.get("unitPrice"))
        cost = given.get("adjustedUnitCost", line.get("unitCost"))
        prices = {"unitPrice": price, "internalCurrencyAdjustedPrice": price, "unitCost": cost}
        desk.store.put(names.lines, {**line, **prices})


def _rows_after_end(desk: Desk, names: Names, contract: Record) -> list[Record]:
    rows = desk.store.where(names.units, "contractID", contract["id"])
    return [row for row in rows if row["endDate"] > contract["endDate"]]


def _cut_rows(desk: Desk, contract: Record) -> None:
    """Drop the rows after the contract's end."""
    for names in BOTH:
        for row in _rows_after_end(desk, names, contract):
            if row["startDate"] > contract["endDate"]:
                desk.store.delete(names.units, row["id"])
            else:
                desk.store.put(names.units, {**row, "endDate": contract["endDate"]})


def _negative() -> str:
    return "The unit change would result in a negative number of units." + _SUFFIX
