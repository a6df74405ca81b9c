"""The portal's tables: people, partners and what belongs to them."""

from portal.models.audit import (
    AuditChain,
    AuditEntry,
)
from portal.models.configuration import ConfigState
from portal.models.disabling import (
    Disabling,
)
from portal.models.keys import KeyCheck
from portal.models.partners import Account, Client, Mode, Organization, Partner
from portal.models.people import ApiToken, Membership, Role, User
from portal.models.processes import Heartbeat
from portal.models.remarks import StepRemark
from portal.models.requests import Allowance, IdempotentRequest
from portal.models.signins import SignIn, Tries

__all__ = [
    "Account",
    "Allowance",
    "ApiToken",
    "AuditChain",
    "AuditEntry",
    "Client",
    "ConfigState",
    "Disabling",
    "Heartbeat",
    "IdempotentRequest",
    "KeyCheck",
    "Membership",
    "Mode",
    "Organization",
    "Partner",
    "Role",
    "SignIn",
    "StepRemark",
    "Tries",
    "User",
]
