"""What a refusal of ConnectWise means for us (asked for every answer of 400 and above).

Bodies come in many shapes: `code` or `error`, `errors` missing or null, plain text, HTML, nothing. Sources: docs/
psa/connectwise.md, "Refusals".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.psa.answers import Answer
from integrations.psa.errors import (
    AlreadyThere,
    Misconfigured,
    NotFound,
    NotPermitted,
    PsaError,
    Rejected,
    SignInRefused,
    Unreachable,
)

# Fields of ConnectWise that we fill from a setting of ours: a refusal of one is for a person to correct.
SETTINGS = {
    "board": "board",
    "status": "status",
    "type": "type",
    "subtype": "subtype",
    "item": "item",
    "priority": "priority",
    "source": "source",
    "company": "company",
    "contact": "contact",
    "product": "product",
    "agreement": "agreement",
}
_SPOKEN = (
    ("service status", "status"),
    ("service board", "board"),
    ("subtype", "subtype"),
    ("service type", "type"),
    ("priority", "priority"),
    ("service source", "source"),
    ("company", "company"),
    ("product", "product"),
)
_LABELS = {"subtype": "subtype", "closing_status": "closing status"}


@dataclass(frozen=True, kw_only=True)
class Module:
    """One right of a ConnectWise security role, and where a person finds it."""

    name: str
    where: str


_TICKETS = Module(
    name="Service Desk > Service Tickets", where="Service Desk: Service Tickets (Add, Edit, Inquire: All)"
)
_CLOSING = Module(
    name="Service Desk > Close Service Tickets",
    where="Service Desk: Close Service Tickets (Add, Edit, Inquire: All) and Service Tickets (Add, Edit, Inquire: All)",
)
_TABLES = Module(
    name="System > Table Setup",
    where="System: Table Setup (Inquire: All); its customize list must allow Service / Service Board,"
    " Service / Priority and Service / Source",
)
_COMPANIES = Module(
    name="Companies > Company Maintenance", where="Companies: Company Maintenance (Inquire: All)"
)
_REPORTS = Module(
    name="Companies > Company Maintenance",
    where="Companies: Company Maintenance (Add, Edit, Inquire: All), and System: Table Setup (Inquire: All), whose"
    " customize list must allow General / Management IT",
)
_CONTACTS = Module(name="Companies > Contacts", where="Companies: Contacts (Inquire: All)")
_CONFIGURATIONS = Module(
    name="Companies > Configurations", where="Companies: Configurations (Edit, Inquire: All)"
)
_AGREEMENTS = Module(
    name="Finance > Agreements",
    where="Finance: Agreements (Add, Edit, Inquire: All); its customize list must allow Additions",
)
_CATALOG = Module(name="Procurement > Product Catalog", where="Procurement: Product Catalog (Inquire: All)")
_PRODUCTS = Module(
    name="Procurement > Product Catalog",
    where="Procurement: Product Catalog (Add, Inquire: All), and System: Table Setup (Inquire: All), whose customize"
    " list must allow the product tables",
)
_HOSTED = Module(
    name="System > Table Setup (General / Manage Hosted API)",
    where="System: Table Setup (Add, Edit, Inquire: All); its customize list must allow General / Manage Hosted API",
)
_DEVICES = Module(
    name="System > Table Setup (Company / Managed Devices Integration)",
    where="System: Table Setup (Add, Edit, Inquire: All); its customize list must allow Company / Managed Devices"
    " Integration",
)
_CONFIGURATION_TYPES = Module(
    name="System > Table Setup (Company / Configuration)",
    where="System: Table Setup (Inquire: All); its customize list must allow Company / Configuration",
)
_AGREEMENT_TYPES = Module(
    name="System > Table Setup (Agreements / Agreement Type)",
    where="System: Table Setup (Inquire: All); its customize list must allow Agreements / Agreement Type",
)
_SYSTEM = Module(name="System", where="System: the function that this needs")
_BY_PATH = (
    ("service/tickets", _TICKETS),
    ("service/", _TABLES),
    ("company/companies", _COMPANIES),
    ("company/contacts", _CONTACTS),
    ("company/configurations/types", _CONFIGURATION_TYPES),
    ("company/configurations", _CONFIGURATIONS),
    ("company/managementitsolutions", _REPORTS),
    ("company/manageddevicesintegrations", _DEVICES),
    ("finance/agreements/types", _AGREEMENT_TYPES),
    ("finance/agreements", _AGREEMENTS),
    ("procurement/catalog", _CATALOG),
    ("procurement/", _PRODUCTS),
    ("system/connectwisehosted", _HOSTED),
)
SITE_ADVICE = "Check the site and the login company of the ConnectWise credentials."
_KEY_ADVICE = (
    "In ConnectWise, System > Members > API Members > (member) > API Keys: make a new key, and enter the login"
    " company (upper and lower case matter), the public and the private key again."
)


def module_for(method: str, path: str) -> Module:
    """The right that a call needs; PATCH of a ticket is how tickets are closed."""
    trimmed = path.lstrip("/").lower()
    if method == "PATCH" and trimmed.startswith("service/tickets"):
        return _CLOSING
    if "/managementsummaryreports" in trimmed:
        return _REPORTS
    if method == "POST" and trimmed.startswith("procurement/"):
        return _PRODUCTS
    return next((module for start, module in _BY_PATH if trimmed.startswith(start)), _SYSTEM)


def role_advice(where: str) -> str:
    return f"In ConnectWise, System > Security Roles > (role of the API member) > Security Modules > {where}."


def is_lost_route(answer: Answer) -> bool:
    """The codebase in the path is not (or no longer) right: the gateway says so, or the path is not there."""
    return answer.status == 404 or (answer.status == 400 and "cannot route" in answer.text.lower())


def refusal(answer: Answer, *, method: str, path: str) -> PsaError:
    """The error to raise for a 4xx."""
    told = _told(answer)
    squeezed = re.sub(r"[\s_-]", "", told.everything.lower())
    if "clientid" in squeezed and answer.status in (400, 401):
        return Misconfigured(
            "ConnectWise does not accept the clientId of this portal.",
            field="connectwise_client_id",
            status=answer.status,
            advice="The operator registers the product at developer.connectwise.com and sets its (public) clientId.",
        )
    if "sslisrequired" in squeezed:
        return Misconfigured(
            "ConnectWise wants to be called at its API host by https.", field="site_url", advice=SITE_ADVICE
        )
    if answer.is_html:
        return Unreachable(
            f"A web page came in place of ConnectWise's answer (status {answer.status}).",
            advice=SITE_ADVICE,
            status=answer.status,
        )
    return _by_status(answer, told, method, path)


def _by_status(answer: Answer, told: _Told, method: str, path: str) -> PsaError:
    status = answer.status
    if status == 401:
        return SignInRefused("ConnectWise refused the sign-in.", advice=_KEY_ADVICE, status=status)
    if status == 403:
        module = module_for(method, path)
        return NotPermitted(
            f"ConnectWise: the API member may not do this ({module.name}).",
            module=module.name,
            advice=role_advice(module.where),
            status=status,
        )
    if status == 404:
        return NotFound(f"ConnectWise does not find this record. {told.message}".strip(), status=status)
    if "cannot route" in answer.text.lower():
        return Misconfigured(
            "ConnectWise does not know this login company.", field="login_company", advice=SITE_ADVICE
        )
    if status == 409 and not told.fields:
        return Unreachable(f"ConnectWise: the record is in use. {told.message}".strip(), status=status)
    return _invalid(told, status)


def _invalid(told: _Told, status: int) -> PsaError:
    sentence = f"ConnectWise refused the data: {told.sentence or f'status {status}'}"
    if setting := _setting(told):
        return Misconfigured(
            sentence,
            field=setting,
            status=status,
            advice=f"Choose the {_LABELS.get(setting, setting)} again in the settings;"
            " Reload Options from PSA shows what ConnectWise has now.",
        )
    kind = AlreadyThere if "ObjectExists" in told.codes else Rejected
    return kind(sentence, fields=told.fields, status=status)


def _setting(told: _Told) -> str:
    """Our setting that the refusal is about, or ""."""
    for name in told.fields:
        if setting := SETTINGS.get(re.split(r"[/.]", name)[0].lower()):
            return setting
    text = told.sentence.lower()
    if told.fields or "not found" not in text:
        return ""
    return next((setting for words, setting in _SPOKEN if text.startswith(words)), "")


@dataclass(frozen=True, kw_only=True)
class _Told:
    code: str
    message: str
    fields: Mapping[str, str]
    everything: str
    codes: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        """The most telling words: those about fields, else the general message."""
        about_fields = " ".join(dict.fromkeys(text for text in self.fields.values() if text))
        return (about_fields or self.message)[:500]


def _told(answer: Answer) -> _Told:
    data = answer.refusal_data()
    if not isinstance(data, dict):
        return _Told(code="", message=_plain(answer), fields={}, everything=answer.text)
    return _Told(
        code=_text(data.get("code") or data.get("error")),
        message=_text(data.get("message")),
        fields=_fields(data.get("errors")),
        everything=answer.text,
        codes=_codes(data),
    )


def _codes(data: dict[str, Any]) -> frozenset[str]:
    errors = data.get("errors")
    rows = errors if isinstance(errors, list) else []
    return frozenset(_text(row.get("code")) for row in [data, *rows] if isinstance(row, dict))


def _plain(answer: Answer) -> str:
    return "" if answer.is_html else " ".join(answer.text.split())[:300]


def _fields(errors: Any) -> dict[str, str]:
    rows = errors if isinstance(errors, list) else []
    return {
        _text(row.get("field")) or _text(row.get("resource")) or "record": _text(
            row.get("message") or row.get("code")
        )
        for row in rows
        if isinstance(row, dict)
    }


def _text(value: Any) -> str:
    return " ".join(value.split())[:500] if isinstance(value, str) else ""
