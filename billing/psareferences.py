"""A PSA's own table of cross-references beside ours: what it should say, and what it does (asked by pages and runs).

Only ConnectWise has one: a line for each Type and Level, the same for all clients. So of the levels here the highest
one speaks; what a lower one says otherwise is told, and holds in our pushes as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from billing.decisions import Refused, of_the_psa
from billing.models import CrossReference
from integrations import connections
from integrations.models import Credentials
from integrations.models.connections import Standing
from integrations.psa.errors import PsaError
from integrations.psa.kinds import ABILITIES
from integrations.psa.plan import Finding, Plan
from integrations.psa.port import Psa
from integrations.psa.reportsetup import WantedReference, WantedSetup
from portal.inheritance import Tree, resolve

ONLY_THERE = "reference_only_there"


def is_offered(credentials: Credentials) -> bool:
    """Not at PSAs without such a table, nor for credentials that are prepared or were replaced."""
    found = ABILITIES.get(credentials.kind)
    return found is not None and found.cross_references and credentials.standing == Standing.CURRENT


def mode_of(credentials: Credentials) -> str:
    """Billing's mode where the connection is set: the table is of all its clients."""
    tree = Tree.of(credentials.partner_id)
    level = credentials.level
    path = tree.levels_of(credentials.client) if credentials.client else tree.upwards(level.pk)
    return str(resolve("billing_mode", path, {node.pk: node for node in path}, default="live").value)


# --- What it should say -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """Our side: one reference for each line, and what cannot be one."""

    setup: WantedSetup
    findings: tuple[Finding, ...] = ()


def wanted(credentials: Credentials) -> Own:
    """Every billed service with a Type and a product of this connection. Two queries."""
    rows = CrossReference.objects.filter(partner_id=credentials.partner_id, product__credentials=credentials)
    rows = rows.filter(is_billed=True).select_related("service", "product", "organization", "client")
    tree = Tree.of(credentials.partner_id)
    taken: dict[str, tuple[WantedReference, CrossReference]] = {}
    findings: list[Finding] = []
    nameless: list[str] = []
    for row in sorted(rows, key=lambda row: (depth_of(row, tree), row.service.name, row.pk)):
        assert row.product is not None  # the query's condition
        if not row.type.strip():
            nameless.append(f"{row.service.name} at {level_name(row)}")
            continue
        if row.product.vanished_at is not None:
            findings.append(gone(row, row.product.name))
            continue
        reference = reference_of(row)
        first, other = taken.setdefault(reference.words.casefold(), (reference, row))
        if first.product_id != reference.product_id:
            findings.append(conflict(row, other))
    if nameless:
        findings.append(without_type(nameless))
    return Own(
        WantedSetup(
            solution=settings.MANAGEMENT_SOLUTION,
            references=tuple(reference for reference, _ in taken.values()),
        ),
        tuple(findings),
    )


def depth_of(row: CrossReference, tree: Tree) -> int:
    """0 for the top; clients come after all organizations."""
    return len(tree.by_id) + 1 if row.organization_id is None else len(tree.upwards(row.organization_id))


def reference_of(row: CrossReference) -> WantedReference:
    assert row.product is not None  # the query's condition
    return WantedReference(
        service=row.service.name,
        vendor_type=row.type.strip(),
        vendor_level=row.level.strip(),
        product_id=row.product.psa_id,
        product_name=row.product.name,
        agreement_type=row.agreement_type.strip(),
        configuration_type=row.configuration_type.strip(),
    )


def level_name(row: CrossReference) -> str:
    return str(row.organization or row.client)


def without_type(names: Sequence[str]) -> Finding:
    return Finding(
        key="without_type",
        code="reference_without_type",
        text=f"Without a Type, by which the table tells services apart: {', '.join(names)}.",
        advice="Set Level and Type on Cross-references; the sheet for the administrator proposes them.",
    )


def gone(row: CrossReference, product: str) -> Finding:
    name = f"{row.service.name} at {level_name(row)}"
    text = f"{name} leads to {product}, which the PSA does not offer any more."
    return Finding(key=name, code="product_gone", text=text, advice="Choose another product for it.")


def conflict(row: CrossReference, first: CrossReference) -> Finding:
    assert row.product is not None
    assert first.product is not None
    text = (
        f"{row.service.name} at {level_name(row)} is {row.product.name}, at {level_name(first)} it is"
        f" {first.product.name}: the table has one line for both, and gets the latter."
    )
    advice = "Pushes go by what each level says. Give one of them another Level or Agreement Type to have two lines."
    return Finding(key=f"{row.service.name} at {level_name(row)}", code="conflict", text=text, advice=advice)


# --- Beside what it says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One of our references beside the PSA's table. `what`: create, update, same or told."""

    reference: WantedReference
    what: str
    before: dict[str, Any]
    after: dict[str, Any]
    text: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Compared:
    """All of it, for people. `plan` is what would be written."""

    plan: Plan
    lines: tuple[Line, ...]
    only_there: tuple[Finding, ...]
    told: tuple[Finding, ...]


def plan_at(psa: Psa, own: Own) -> Plan:
    plan = psa.plan_references(own.setup)
    return replace(plan, findings=(*own.findings, *plan.findings))


def compare(credentials: Credentials) -> Compared:
    """A few reads; nothing is written. Raises Refused with what the PSA said."""
    if not is_offered(credentials):
        raise Refused("not_offered", "This PSA has no table of cross-references that could be compared.")
    own = wanted(credentials)
    try:
        with connections.psa_for(credentials, reads_within=settings.PSA_PAGE_DEADLINE) as psa:
            plan = plan_at(psa, own)
    except PsaError as error:
        raise of_the_psa(error) from error
    lines = tuple(lines_of(own, plan))
    shown = {line.reference.words for line in lines}
    left = [finding for finding in plan.findings if finding.key not in shown]
    return Compared(
        plan=plan,
        lines=lines,
        only_there=tuple(one for one in left if one.code == ONLY_THERE),
        told=tuple(one for one in left if one.code != ONLY_THERE),
    )


def lines_of(own: Own, plan: Plan) -> Iterator[Line]:
    items = {item.key: item for item in plan.items}
    findings = {finding.key: finding for finding in plan.findings}
    for reference in own.setup.references:
        if item := items.get(reference.words):
            yield Line(reference, item.action, dict(item.before), dict(item.after))
        elif reference.words in plan.unchanged:
            yield Line(reference, "same", {}, {})
        elif finding := findings.get(reference.words):
            yield Line(reference, "told", {}, {}, finding.text, finding.advice)
