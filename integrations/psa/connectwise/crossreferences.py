"""ConnectWise's own table of cross-references: what of it differs from ours (asked by the adapter).

One line a service: Type and Level as the vendor calls it, and the agreement type, product and configuration type that
it is in ConnectWise. Lines that nobody here speaks of are a person's: told, never touched. Nothing is ever deleted.

Facts: `/company/managedDevicesIntegrations/{id}/crossReferences`, docs/psa/connectwise.md, "Cross-references".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.psa.connectwise.reportsetup import INTEGRATIONS, integration_advice
from integrations.psa.connectwise.rest import Rest, Row, id_of, number, setting_reference, text_of
from integrations.psa.errors import Unsettled
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.reportsetup import WantedReference, WantedSetup

RECORD = "cross-reference"
_TABLES = {
    "configurationType": (
        "/company/configurations/types",
        "configuration type",
        "System > Setup Tables > Configuration",
    ),
    "agreementType": (
        "/finance/agreements/types",
        "agreement type",
        "System > Setup Tables > Agreement Type",
    ),
}
_ADVICE = "In ConnectWise, System > Setup Tables > Managed Devices Integration > {name} > Cross-References: "


class CrossReferences:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def plan(self, wanted: WantedSetup) -> Plan:
        """Two reads, and one for each set-up table in which a name has to be looked up."""
        integration = self._integration(wanted.solution)
        if isinstance(integration, Finding):
            return Plan(subject="cross-references", findings=(integration,))
        path = f"{INTEGRATIONS}/{number(text_of(integration, 'id'))}/crossReferences"
        rows = sorted(self._rest.all(path), key=lambda row: number(text_of(row, "id")))
        matched = Matched.of(wanted.references, rows)
        table = _Table(self._rest, path, _ADVICE.format(name=text_of(integration, "name")))
        outcomes: list[PlanItem | Finding | str] = [table.planned(one, matched) for one in wanted.references]
        outcomes += [_only_there(row, table.advice) for row in matched.left]
        return Plan.of(
            f"cross-references:{text_of(integration, 'id')}",
            outcomes,
            {"integration": text_of(integration, "name"), "rows": len(rows)},
        )

    def _integration(self, solution: str) -> Row | Finding:
        name = _plain(solution)
        own = [
            row
            for row in self._rest.all(INTEGRATIONS)
            if name in (_plain(text_of(row, "solution")), _plain(text_of(row, "name")))
        ]
        if len(own) == 1:
            return own[0]
        text = (
            f"{len(own)} managed devices integrations of ConnectWise use the solution “{solution}”."
            if own
            else f"No managed devices integration of ConnectWise uses the solution “{solution}”, so it has no table of"
            " cross-references."
        )
        advice = "Keep one of them." if own else integration_advice(solution)
        return Finding(key="integration", code="integration", text=text, advice=advice)


# --- Which line is which ----------------------------------------------------------------------------------------------

Fits = Callable[[WantedReference, Row], bool]


@dataclass
class Matched:
    """By the words of a wanted one: the line that it is, or those of which nobody can say which it is."""

    lines: dict[str, Row] = field(default_factory=dict)
    unclear: dict[str, list[Row]] = field(default_factory=dict)
    inactive: dict[str, Row] = field(default_factory=dict)
    left: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, wanted: Sequence[WantedReference], rows: Sequence[Row]) -> Matched:
        """Who is exactly there comes first, who says more before who says less; a line is meant once."""
        active = [row for row in rows if row.get("inactiveFlag") is not True]
        found = cls(left=active)
        off = [row for row in rows if row.get("inactiveFlag") is True]
        open_ones = sorted(wanted, key=lambda one: -len([word for word in one.all_words if word]))
        for one in list(open_ones):
            if exact := [row for row in found.left if _words_fit(one, row) and not _changes(one, row)]:
                found._take(one, exact[0])
                open_ones.remove(one)
        for one in open_ones:
            same = [row for row in found.left if _words_fit(one, row)]
            if not same and _is_alone(one, wanted, active):
                same = [row for row in found.left if _name_fits(one, row)]
            if len(same) == 1:
                found._take(one, same[0])
            elif same:
                found.unclear[one.words] = same
            elif hidden := [row for row in off if _words_fit(one, row)]:
                found.inactive[one.words] = hidden[0]
        spoken_of = [id(row) for rows in found.unclear.values() for row in rows]
        found.left = [row for row in found.left if id(row) not in spoken_of]
        kept = [id(row) for row in found.inactive.values()]
        found.left += [row for row in off if id(row) not in kept]
        return found

    def _take(self, one: WantedReference, row: Row) -> None:
        self.lines[one.words] = row
        self.left = [other for other in self.left if other is not row]


def _plain(text: str) -> str:
    return text.strip().casefold()


def _name_fits(one: WantedReference, row: Row) -> bool:
    """Type and Level; a line that differs in case is this one, and is put right."""
    return (_plain(one.vendor_type), _plain(one.vendor_level)) == (
        _plain(text_of(row, "vendorType")),
        _plain(text_of(row, "vendorLevel")),
    )


def _words_fit(one: WantedReference, row: Row) -> bool:
    """What is left empty here fits everything there."""
    return _name_fits(one, row) and all(
        not word or _plain(word) == _plain(_name_of(row, field)) for field, word in _references(one)
    )


def _is_alone(one: WantedReference, wanted: Sequence[WantedReference], rows: Sequence[Row]) -> bool:
    """One line of this Type and Level on either side: then it is the same, whatever else it says."""
    same = [other for other in wanted if _plain(other.vendor_type) == _plain(one.vendor_type)]
    same = [other for other in same if _plain(other.vendor_level) == _plain(one.vendor_level)]
    return len(same) == 1 and len([row for row in rows if _name_fits(one, row)]) == 1


def _references(one: WantedReference) -> tuple[tuple[str, str], ...]:
    return ("configurationType", one.configuration_type), ("agreementType", one.agreement_type)


def _name_of(row: Row, field: str) -> str:
    value = row.get(field)
    return text_of(value, "name") if isinstance(value, dict) else ""


def _product_of(row: Row) -> str:
    value = row.get("product")
    return text_of(value, "identifier") if isinstance(value, dict) else ""


def _changes(one: WantedReference, row: Row) -> dict[str, str]:
    """Field of ConnectWise -> what it has to say, by name; the product by id."""
    changes = {
        name: word
        for name, word in (("vendorType", one.vendor_type), ("vendorLevel", one.vendor_level))
        if text_of(row, name) != word
    }
    if (id_of(row, "product") or "") != one.product_id:
        changes["product"] = one.product_id
    changes |= {
        name: word for name, word in _references(one) if word and _plain(_name_of(row, name)) != _plain(word)
    }
    return changes


# --- What is written --------------------------------------------------------------------------------------------------

_OURS = {
    "vendorType": "type",
    "vendorLevel": "level",
    "configurationType": "configuration_type",
    "agreementType": "agreement_type",
    "product": "product",
}


class _Table:
    """The lines of one integration. Set-up tables are read when a name of theirs is needed, once."""

    def __init__(self, rest: Rest, path: str, advice: str) -> None:
        self._rest = rest
        self._path = path
        self.advice = advice
        self._ids: dict[str, dict[str, str]] = {}

    def planned(self, one: WantedReference, matched: Matched) -> PlanItem | Finding | str:
        if rows := matched.unclear.get(one.words):
            ids = ", ".join(text_of(row, "id") for row in rows)
            text = f"{len(rows)} lines ({ids}) have Type {one.vendor_type}, Level {one.vendor_level or '(empty)'}."
            return Finding(
                key=one.words, code="reference_unclear", text=text, advice=f"{self.advice}keep one of them."
            )
        if row := matched.inactive.get(one.words):
            text = f"Line {text_of(row, 'id')} is inactive in ConnectWise: somebody switched it off."
            advice = f"{self.advice}clear Inactive, or untick the service here."
            return Finding(key=one.words, code="reference_inactive", text=text, advice=advice)
        row = matched.lines.get(one.words)
        if row is None and not one.configuration_type and not one.agreement_type:
            text = "A new line needs a Configuration Type or an Agreement Type in ConnectWise."
            advice = f"Set one of them for {one.service} on Cross-references."
            return Finding(key=one.words, code="reference_incomplete", text=text, advice=advice)
        changes = _changes(one, row or {})
        if row is not None and not changes:
            return one.words
        values = self._values(one, changes)
        if isinstance(values, Finding):
            return values
        return self._update(one, row, values) if row is not None else self._create(one, values)

    def _values(self, one: WantedReference, changes: Mapping[str, str]) -> dict[str, Any] | Finding:
        """As bodies say them."""
        values: dict[str, Any] = {}
        for name, word in changes.items():
            if name == "product":
                values[name] = setting_reference("product", word)
            elif name in _TABLES:
                found = self._named(name).get(_plain(word))
                if found is None:
                    _, what, where = _TABLES[name]
                    return Finding(
                        key=one.words,
                        code="reference_setup",
                        text=f"ConnectWise has no active {what} “{word}”.",
                        advice=f"Make it in ConnectWise ({where}), or set another for {one.service} on"
                        " Cross-references.",
                    )
                values[name] = {"id": number(found)}
            else:
                values[name] = word
        return values

    def _named(self, name: str) -> dict[str, str]:
        if name not in self._ids:
            rows = self._rest.all(_TABLES[name][0], fields="id,name,inactiveFlag")
            active = [row for row in rows if row.get("inactiveFlag") is not True]
            self._ids[name] = {_plain(text_of(row, "name")): text_of(row, "id") for row in active}
        return self._ids[name]

    def _create(self, one: WantedReference, values: Mapping[str, Any]) -> PlanItem:
        return PlanItem(
            key=one.words,
            action="create",
            record=RECORD,
            record_id=None,
            before={},
            after=_said(one, values),
            reason=f"{one.service} is not in ConnectWise's table yet.",
            request=Request(method="POST", path=self._path, body=dict(values)),
        )

    def _update(self, one: WantedReference, row: Row, values: Mapping[str, Any]) -> PlanItem:
        record_id = text_of(row, "id")
        shown = _shown(row)
        return PlanItem(
            key=one.words,
            action="update",
            record=RECORD,
            record_id=record_id,
            before={_OURS[name]: shown[_OURS[name]] for name in values},
            after=_said(one, values),
            reason=f"{one.service} differs in ConnectWise's table.",
            request=Request(
                method="PATCH",
                path=f"{self._path}/{number(record_id)}",
                body=[{"op": "replace", "path": name, "value": value} for name, value in values.items()],
            ),
        )


def _said(one: WantedReference, values: Mapping[str, Any]) -> dict[str, str]:
    words = {
        "vendorType": one.vendor_type,
        "vendorLevel": one.vendor_level,
        "configurationType": one.configuration_type,
        "agreementType": one.agreement_type,
        "product": one.product_name,
    }
    return {_OURS[name]: words[name] for name in words if name in values}


def _shown(row: Row) -> dict[str, str]:
    return {
        "type": text_of(row, "vendorType"),
        "level": text_of(row, "vendorLevel"),
        "configuration_type": _name_of(row, "configurationType"),
        "agreement_type": _name_of(row, "agreementType"),
        "product": _product_of(row),
    }


def _only_there(row: Row, advice: str) -> Finding:
    shown = _shown(row)
    labels = ("Type", "Level", "Configuration Type", "Agreement Type", "Product")
    told = ", ".join(f"{label} {word}" for label, word in zip(labels, shown.values(), strict=True) if word)
    state = ", inactive" if row.get("inactiveFlag") is True else ""
    return Finding(
        key=f"line {text_of(row, 'id')}",
        code="reference_only_there",
        text=f"Only in ConnectWise{state}: {told or 'an empty line'}.",
        advice=f"It is left as it is. If nobody needs it, {advice[0].lower()}{advice[1:]}delete it there.",
    )


def require_reference(row: Row, request: Request) -> None:
    """A field that the answer shows must be as it was sent."""
    sent = request.body
    if isinstance(sent, list):
        sent = {change["path"]: change["value"] for change in sent}
    wrong = [
        _OURS[name].replace("_", " ")
        for name, value in sent.items()
        if name in row
        and (id_of(row, name) != str(value["id"]) if isinstance(value, dict) else text_of(row, name) != value)
    ]
    if wrong:
        raise Unsettled(
            f"ConnectWise kept another {', '.join(wrong)} than was sent.",
            advice="It is looked at again by itself.",
        )
