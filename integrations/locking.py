"""Which fields of a connection are locked because values read from its PSA are in use (asked by PSA Credentials).

Boards, statuses and products are stored by the PSA's ids. At another PSA the same ids mean other things, so kind, site
and login company stay as they are while such values are in use. Keys may always be renewed.
"""

from __future__ import annotations

from integrations import connections
from integrations.connections import Entered
from integrations.gonechoices import referring_fields
from integrations.models import CompanyLink, Credentials
from integrations.models.connections import Kind
from integrations.psa import kinds
from integrations.psa.errors import Misconfigured

LOCKED = ("kind", "site_url", "login_company")


def uses_of(credentials: Credentials) -> int:
    """How many settings and mappings hold a value of this connection's PSA; one query for each field that can."""
    links = CompanyLink.objects.filter(credentials=credentials).exclude(psa_company_id="").count()
    return links + sum(
        field.model._default_manager.filter(
            **{"partner_id": credentials.partner_id, f"{field.name}__credentials": credentials}
        ).count()
        for field in referring_fields()
    )


def refuse_repointing(current: Credentials, entered: Entered, *, is_same_psa: bool) -> None:
    """Raises Misconfigured when locked fields change while values of this PSA are in use.

    `is_same_psa`: a person says that it is the same PSA at another address; another product it cannot be.
    """
    changed = changed_fields(current, entered)
    if not changed or current.kind == Kind.NONE:
        return
    if is_same_psa and "kind" not in changed:
        return
    if count := uses_of(current):
        otherwise = "“Change connection…” takes over what it can to another PSA."
        advice = (
            otherwise
            if "kind" in changed
            else f"If it is the same PSA at another address, say so below the form. Otherwise {otherwise}"
        )
        raise Misconfigured(
            f"Advanced Settings are in use: {count} settings and mappings were read from this PSA, and would mean"
            " other things at another one. So this is locked.",
            field=changed[0],
            advice=advice,
        )


def changed_fields(current: Credentials, entered: Entered) -> list[str]:
    """Compared as they would be stored."""
    if entered.kind != current.kind:
        return ["kind"]
    changed = []
    site = kinds.KINDS[entered.kind].normalise_site(entered.site_url, policy=connections.policy())
    if site != current.site_url:
        changed.append("site_url")
    if connections.login_company_of(entered) != current.login_company:
        changed.append("login_company")
    return changed
