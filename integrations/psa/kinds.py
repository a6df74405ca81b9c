"""Which PSAs we speak, and how to make a connection to one (asked by integrations.connections)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations.psa import autotask
from integrations.psa.addresses import AddressPolicy
from integrations.psa.autotask import permissions as autotask_role
from integrations.psa.autotask.adjustments import SETTLED_AFTER
from integrations.psa.autotask.callbacks import DIALECT as AUTOTASK_CALLBACKS
from integrations.psa.autotask.contracts import INVOICE_DESCRIPTION_LENGTH as AUTOTASK_INVOICE_LENGTH
from integrations.psa.autotask.opening import DESCRIPTION_LENGTH as AUTOTASK_DESCRIPTION_LENGTH
from integrations.psa.autotask.opening import SUMMARY_LENGTH as AUTOTASK_SUMMARY_LENGTH
from integrations.psa.autotask.options import INCREMENTAL as AUTOTASK_INCREMENTAL
from integrations.psa.autotask.rest import headers_for as autotask_headers_for
from integrations.psa.autotask.rest import secrets_of as autotask_secrets_of
from integrations.psa.callbacks import CallbackDialect
from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise import permissions as connectwise_role
from integrations.psa.connectwise.agreements import INVOICE_DESCRIPTION_LENGTH
from integrations.psa.connectwise.callbacks import DIALECT as CONNECTWISE_CALLBACKS
from integrations.psa.connectwise.options import INCREMENTAL as CONNECTWISE_INCREMENTAL
from integrations.psa.connectwise.rest import headers_for, secrets_of
from integrations.psa.connectwise.tickets import DESCRIPTION_LENGTH, SUMMARY_LENGTH
from integrations.psa.errors import Misconfigured
from integrations.psa.port import Abilities, Check, Exchange, Importance, Psa, SignIn
from integrations.psa.rights import Asked, RoleGuide
from integrations.psa.site import normalise_autotask_site, normalise_site
from integrations.psa.transport import DEADLINE, SharedConnection, Transport


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One PSA product: what people call it, what it can do, and how its parts are made."""

    name: str
    label: str
    abilities: Abilities
    headers: Callable[[SignIn], Mapping[str, str]]
    secrets: Callable[[SignIn], tuple[str, ...]]
    adapter: Callable[..., Psa]
    normalise_site: Callable[..., str]
    minimal_role: Callable[[Asked], list[Check]]
    role_guide: RoleGuide
    callbacks: CallbackDialect


_CONNECTWISE = Abilities(
    summary_length=SUMMARY_LENGTH,
    description_length=DESCRIPTION_LENGTH,
    invoice_description_length=INVOICE_DESCRIPTION_LENGTH,
    fractional_quantities=True,
    statistics=True,
    hosted_tab=True,
    cross_references=True,
    incremental=CONNECTWISE_INCREMENTAL,
    labels={
        "company": "Company",
        "board": "Service Board",
        "status": "Status",
        "type": "Type",
        "subtype": "Subtype",
        "item": "Item",
        "priority": "Priority",
        "source": "Source",
        "contact": "Contact",
        "team": "Team",
        "site": "Site",
        "solution": "Management IT Solution",
        "product": "Product",
        "agreement": "Agreement",
        "line": "Addition",
        "login_company": "Login Company",
        "public_key": "Public Key",
        "secret": "Private Key",
        "client_id": "Client ID",
    },
)

_AUTOTASK = Abilities(
    summary_length=AUTOTASK_SUMMARY_LENGTH,
    description_length=AUTOTASK_DESCRIPTION_LENGTH,
    invoice_description_length=AUTOTASK_INVOICE_LENGTH,
    fractional_quantities=False,
    statistics=True,
    hosted_tab=False,
    incremental=AUTOTASK_INCREMENTAL,
    writes_settle_after=SETTLED_AFTER,
    invoice_lines=True,
    past_lines=True,
    labels={
        "company": "Organization",
        "board": "Queue",
        "status": "Status",
        "type": "Issue Type",
        "subtype": "Sub-Issue Type",
        "item": "Ticket Type",
        "priority": "Priority",
        "source": "Source",
        "category": "Ticket Category",
        "contact": "Contact",
        "site": "Location",
        "product": "Service",
        "agreement": "Contract",
        "line": "Contract Service",
        "login_company": "Tracking Identifier",
        "public_key": "Username (Key)",
        "secret": "Password (Secret)",
        "client_id": "Tracking Identifier",
    },
)

KINDS: Mapping[str, Kind] = {
    "connectwise": Kind(
        name="connectwise",
        label="ConnectWise PSA",
        abilities=_CONNECTWISE,
        headers=headers_for,
        secrets=secrets_of,
        adapter=ConnectWisePsa,
        normalise_site=normalise_site,
        minimal_role=connectwise_role.minimal_role,
        role_guide=connectwise_role.GUIDE,
        callbacks=CONNECTWISE_CALLBACKS,
    ),
    "autotask": Kind(
        name="autotask",
        label="Autotask PSA",
        abilities=_AUTOTASK,
        headers=autotask_headers_for,
        secrets=autotask_secrets_of,
        adapter=autotask.AutotaskPsa,
        normalise_site=normalise_autotask_site,
        minimal_role=autotask_role.minimal_role,
        role_guide=autotask_role.GUIDE,
        callbacks=AUTOTASK_CALLBACKS,
    ),
}
ABILITIES: Mapping[str, Abilities] = {name: kind.abilities for name, kind in KINDS.items()}


def connect(
    kind: str,
    sign_in: SignIn,
    *,
    policy: AddressPolicy,
    shared: SharedConnection | None = None,
    before_write: Callable[[], None] | None = None,
    on_call: Callable[[Exchange], None] | None = None,
    deadline: float = DEADLINE,
    importance: Importance = "note",
    reads_within: float | None = None,
) -> Psa:
    """An adapter for one thread. Makes no call.

    A lane makes one `SharedConnection` for its connection and passes it for each of its threads: they then share
    kept-alive sockets and what was discovered, and `close()` of an adapter leaves them open. Without `shared` the
    adapter has its own, and `close()` ends it. The policy of `shared` is the one that holds. `sign_in.site` is
    what `normalise_site` gave.
    """
    if kind not in KINDS:
        raise Misconfigured(f"There is no PSA called “{kind}”.", field="kind")
    found = KINDS[kind]
    connection = shared or SharedConnection(policy)
    transport = Transport(
        sign_in.site,
        shared=connection,
        headers=found.headers(sign_in),
        secrets=found.secrets(sign_in),
        deadline=deadline,
        before_write=before_write,
        on_call=on_call,
        importance=importance,
        reads_within=reads_within,
    )
    return found.adapter(sign_in, transport=transport, on_close=None if shared else connection.close)
