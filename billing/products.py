"""A product of the PSA for a service that has none yet: planned, shown, made (asked by the cross-references page)."""

from __future__ import annotations

from django.conf import settings

from billing.decisions import Refused, of_the_psa
from integrations import connections
from integrations.models import Credentials
from integrations.psa.errors import PsaError
from integrations.psa.plan import Plan
from integrations.psa.wanted import WantedProduct


def preview(connection: Credentials, wanted: WantedProduct) -> Plan:
    """A few reads; nothing is written. Raises Refused with what the PSA said."""
    try:
        with connections.psa_for(connection, reads_within=settings.PSA_PAGE_DEADLINE) as psa:
            return psa.plan_product(wanted)
    except PsaError as error:
        raise of_the_psa(error) from error


def create(connection: Credentials, wanted: WantedProduct, *, digest: str) -> str:
    """Make it, if the plan is the one that was shown; returns the new id. Raises Refused.

    Harmless to repeat: what is there already is not made again, because planning looks for its name first.
    """
    try:
        with connections.psa_for(connection, reads_within=settings.PSA_PAGE_DEADLINE) as psa:
            plan = psa.plan_product(wanted)
            if not plan.items:
                raise Refused(
                    "nothing_to_make", plan.findings[0].text if plan.findings else "It is there already."
                )
            if plan.digest != digest:
                raise Refused(
                    "changed", "What would be made has changed since the preview; look at it again."
                )
            [applied] = psa.apply(plan).items
            return applied.record_id
    except PsaError as error:
        if error.outcome_unknown:
            text = "The PSA did not answer: the product may have been made. Preview again, which looks for it first."
            raise Refused("psa_error", text) from error
        raise of_the_psa(error) from error
