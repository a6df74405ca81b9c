"""Is the Management set-up of ConnectWise as the report needs it? Line by line, by reading (asked by billing).

Facts: ConnectWise REST 2026.4, `/company/managementItSolutions`, `/company/managedDevicesIntegrations` and its
`crossReferences`; the wanted values are those that partners are told to choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from integrations.psa.connectwise.rest import Rest, Row, id_of, number, text_of
from integrations.psa.errors import NotFound, NotPermitted, PsaError
from integrations.psa.port import Check
from integrations.psa.reportsetup import WantedReference, WantedSetup

SOLUTION = "Management IT Solution"
SOLUTIONS = "/company/managementItSolutions"
INTEGRATIONS = "/company/managedDevicesIntegrations"
SOLUTION_ADVICE = (
    "In ConnectWise, System > Setup Tables > Management IT > New Item: choose Custom Solution as Management IT"
    " Solution, give both names as “{name}”, enter no login, and save."
)
_INTEGRATION = "In ConnectWise, System > Setup Tables > Managed Devices Integration > {name}: "
_SETTINGS = (
    ("Login By", "loginBy", "Global", "choose Login By Global."),
    (
        "Disable Newly Discovered Cross-References",
        "disableNewCrossReferencesFlag",
        True,
        "tick Disable Newly Discovered Cross-References.",
    ),
    ("Billing Level", "defaultBillingLevel", "Detail", "choose Billing Level Detailed."),
    ("Match on Serial Number", "matchOnSerialNumberFlag", True, "tick Match on Serial Number."),
)


class ReportSetup:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def check(self, wanted: WantedSetup) -> list[Check]:
        """Three reads and one more for each integration of that name. What may not be read is skipped, with the right
        that it needs."""
        solutions = self._read(SOLUTIONS)
        lines = [
            _unread(SOLUTION, solutions) if isinstance(solutions, PsaError) else _solution(solutions, wanted)
        ]
        integrations = self._read(INTEGRATIONS)
        if isinstance(integrations, PsaError):
            return [*lines, _unread("Managed Devices Integration", integrations)]
        own = [row for row in integrations if _is_named(row, wanted.solution, "solution", "name")]
        if len(own) != 1:
            return [*lines, _integration_missing(wanted, len(own))]
        name = text_of(own[0], "name")
        lines += [_passed("Managed Devices Integration", name), *_settings(own[0], name)]
        return [*lines, *self._references(own[0], name, wanted.references)]

    def _references(self, integration: Row, name: str, wanted: Sequence[WantedReference]) -> list[Check]:
        if not wanted:
            return []
        rows = self._read(f"{INTEGRATIONS}/{number(text_of(integration, 'id'))}/crossReferences")
        if isinstance(rows, PsaError):
            return [_unread("Cross-References", rows)]
        active = [row for row in rows if row.get("inactiveFlag") is not True]
        return [_reference(one, active, _INTEGRATION.format(name=name)) for one in wanted]

    def _read(self, path: str) -> list[Row] | PsaError:
        try:
            return self._rest.all(path)
        except (NotPermitted, NotFound) as error:
            return error


def _solution(rows: Sequence[Row], wanted: WantedSetup) -> Check:
    fix = SOLUTION_ADVICE.format(name=wanted.solution)
    same = [row for row in rows if _is_named(row, wanted.solution, "name", "managementSolutionName")]
    if not same:
        return _failed(SOLUTION, f"There is no management IT solution “{wanted.solution}”.", fix)
    if len(same) > 1:
        return _failed(SOLUTION, f"{len(same)} are called “{wanted.solution}”.", "Keep one of them.")
    kind = text_of(same[0], "managementItSolutionType")
    if kind != "Custom":
        return _failed(SOLUTION, f"Its type is {kind}, not Custom Solution.", fix)
    names = {text_of(same[0], name) for name in ("name", "managementSolutionName")}
    if len(names) > 1:
        return _failed(SOLUTION, f"Its two names differ: {' and '.join(sorted(names))}.", fix)
    return _passed(SOLUTION, f"Custom solution “{wanted.solution}”.")


def _is_named(row: Row, wanted: str, *fields: str) -> bool:
    return wanted.strip().casefold() in {text_of(row, name).strip().casefold() for name in fields}


def _integration_missing(wanted: WantedSetup, number_found: int) -> Check:
    detail = (
        f"{number_found} integrations use the solution “{wanted.solution}”."
        if number_found
        else f"No managed devices integration uses the solution “{wanted.solution}”."
    )
    fix = "Keep one of them." if number_found else integration_advice(wanted.solution)
    return _failed("Managed Devices Integration", detail, fix)


def integration_advice(solution: str) -> str:
    return (
        "In ConnectWise, System > Setup Tables > Managed Devices Integration > New Item: choose the solution"
        f" {solution}, the integrator login, Login By Global, tick Disable Newly Discovered Cross-References,"
        " Billing Level Detailed, tick Match on Serial Number, leave the rest, and save."
    )


def _settings(row: Row, name: str) -> Iterator[Check]:
    for title, field, wanted, fix in _SETTINGS:
        shown = row.get(field)
        if shown == wanted:
            yield _passed(title, _words(shown))
        else:
            yield _failed(title, f"It is {_words(shown)}.", _INTEGRATION.format(name=name) + fix)


def _reference(wanted: WantedReference, rows: Sequence[Row], where: str) -> Check:
    title = f"Cross-Reference {wanted.service}"
    row = {"Type": wanted.vendor_type, "Level": wanted.vendor_level, "Product": wanted.product_name}
    row |= {"Agreement Type": wanted.agreement_type, "Configuration Type": wanted.configuration_type}
    told = ", ".join(f"{name} {value}" for name, value in row.items() if value)
    fix = f"{where}Cross-References > New Item: {told}. Or here: Cross-references > Compare with ConnectWise."
    same = [
        one
        for one in rows
        if _is_named(one, wanted.vendor_type, "vendorType")
        and _is_named(one, wanted.vendor_level, "vendorLevel")
    ]
    if not same:
        return _failed(
            title, f"There is no row of Type {wanted.vendor_type}, Level {wanted.vendor_level}.", fix
        )
    wrong = [one for one in same if wanted.product_id and (id_of(one, "product") or "") != wanted.product_id]
    if len(wrong) == len(same):
        return _failed(title, f"It leads to another product than {wanted.product_name}.", fix)
    return _passed(title, told)


def _passed(name: str, detail: str) -> Check:
    return Check(name=name, verdict="passed", detail=detail)


def _failed(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, verdict="failed", detail=detail, fix=fix)


def _unread(name: str, error: PsaError) -> Check:
    return Check(name=name, verdict="skipped", detail=error.text, fix=error.advice)


def _words(value: object) -> str:
    if value is None:
        return "not set"
    return (
        {True: "ticked", False: "not ticked"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )
