"""What a refusal of Autotask means for us (asked for every answer that says no).

Nearly everything is a status 500 with `{"errors": ["..."]}`; what it means stands in the sentences only. They are
matched loosely, since wording differs between databases and years. Sources: docs/psa/autotask.md, "Refusals".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.psa.answers import Answer, retry_after
from integrations.psa.errors import (
    Misconfigured,
    NotFound,
    NotPermitted,
    PsaError,
    Rejected,
    SignInRefused,
    Throttled,
    Unreachable,
)

# Fields of Autotask that we fill from a setting of ours: a refusal of one is for a person to correct.
SETTINGS = {
    "queueid": "board",
    "status": "status",
    "issuetype": "type",
    "subissuetype": "subtype",
    "tickettype": "item",
    "priority": "priority",
    "source": "source",
    "ticketcategory": "category",
    "companyid": "company",
    "contactid": "contact",
    "contractid": "agreement",
    "contractserviceid": "agreement",
    "serviceid": "product",
    "productid": "product",
    "duedatetime": "due_in_hours",
    "billingcodeid": "billing_code",
}
LABELS = {
    "board": "queue",
    "type": "issue type",
    "subtype": "sub-issue type",
    "item": "ticket type",
    "closing_status": "closing status",
    "agreement": "contract",
    "product": "service",
    "due_in_hours": "due time",
    "billing_code": "billing code",
    "category": "ticket category",
}

LEVELS = (
    "In Autotask, Admin > Organization Settings & Users > Resources/Users (HR) > Security Levels > (level of the API"
    " user)"
)
SIGN_IN_ADVICE = (
    "Autotask does not tell which of four causes it is: the user name (key), the password (secret), the tracking"
    " identifier, or the zone (which is found by itself). In Autotask, Admin > Organization Settings & Users >"
    " Resources/Users (HR) > (API user): it must be active and not locked, with the security level API User (system) or"
    " a copy of it (users who sign in at the web pages are refused); on its Security tab generate a new key and secret,"
    " choose the integration vendor or a custom tracking identifier, and enter all three here."
)


@dataclass(frozen=True, kw_only=True)
class Module:
    """One right of an Autotask security level, and where a person finds it."""

    name: str
    where: str

    @property
    def fix(self) -> str:
        return f"{LEVELS} > {self.where}."


_TICKETS = Module(
    name="Service Desk > Tickets",
    where="Service Desk: Tickets, View, Add and Edit: All; and Web Services API: Can login to Web Services API",
)
_COMPANIES = Module(
    name="CRM > Organizations", where="CRM: Organization access: All (customers and prospects)"
)
_CONTRACTS = Module(
    name="Contracts",
    where="Contracts: View and Edit: All, and Can modify Contract Internal Costs and Service/Bundle on contract"
    " changes",
)
_SERVICES = Module(name="Admin > Products & Services", where="Admin: Products & Services")
_DEVICES = Module(
    name="Inventory > Configuration Items",
    where="CRM: Configuration Items (Devices), View and Edit: All. For protected fields also Admin > Organization"
    " Settings & Users > Resources/Users (HR) > Protected Data Permissions > View Protected Data",
)
_WEBHOOKS = Module(
    name="Web Services API > Webhooks",
    where="Web Services API: Can create WebHooks, with a maximum number of at least 1 (off by default in every level)",
)
_SYSTEM = Module(name="Web Services API", where="Web Services API: Can login to Web Services API")
_BY_ENTITY: Mapping[str, Module] = {
    "Tickets": _TICKETS,
    "TicketNotes": _TICKETS,
    "TicketCategories": _TICKETS,
    "TicketCategoryFieldDefaults": _TICKETS,
    "Companies": _COMPANIES,
    "Contacts": _COMPANIES,
    "Contracts": _CONTRACTS,
    "ContractServices": _CONTRACTS,
    "ContractServiceUnits": _CONTRACTS,
    "ContractServiceAdjustments": _CONTRACTS,
    "Services": _SERVICES,
    "BillingCodes": _SERVICES,
    "ConfigurationItems": _DEVICES,
    "TicketWebhooks": _WEBHOOKS,
    "TicketWebhookFields": _WEBHOOKS,
    "TicketWebhookExcludedResources": _WEBHOOKS,
}

_NAME = r"[\"'\[]?([A-Za-z]{2,60})[\"'\]]?"
# In this order: the first that matches a sentence decides.
_PERMISSION = re.compile(
    r"adequate permissions?|not have permission|insufficient (rights|permission)", re.IGNORECASE
)
_THREADS = re.compile(r"thread threshold|itgenatr005", re.IGNORECASE)
_HOURLY = re.compile(r"(request|usage|api) threshold|number of requests|request limit", re.IGNORECASE)
_TROUBLE = re.compile(
    r"time-?out|timed out|deadlock|unexpected error|internal (server )?error|object reference not set|temporar"
    r"|try again|service unavailable|an error has occurred|maintenance",
    re.IGNORECASE,
)
_POSTED = re.compile(r"approved and posted|already posted", re.IGNORECASE)
_OUT_OF_RANGE = re.compile(r"effectivedate must be between", re.IGNORECASE)
_TWICE_A_DAY = re.compile(r"duplicate data into contract_service_period", re.IGNORECASE)
_GONE = re.compile(r"no matching records found|does not exist in the database", re.IGNORECASE)
_NO_QUEUE = re.compile(r"queueid cannot all be empty", re.IGNORECASE)
_FIELDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"picklist value \[[^\]]*\] does not exist for {_NAME}",
        rf"reference value on field:? {_NAME}",
        rf"required field:? {_NAME}",
        rf"existing entity for {_NAME}",
        rf"^{_NAME} is required",
        rf"^{_NAME}: value .* (does not exist|is invalid)",
        rf"specified {_NAME} .*(not currently defined|invalid)",
    )
)


def module_for(entity: str) -> Module:
    return _BY_ENTITY.get(entity, _SYSTEM)


def told_errors(data: Any) -> list[str]:
    """The sentences of a refusal: `errors`, or ASP.NET's `Message`. Some live on answers with status 200."""
    if not isinstance(data, dict):
        return []
    by_name = by_small_name(data)
    errors = by_name.get("errors")
    found = [errors] if isinstance(errors, str) else errors if isinstance(errors, list) else []
    texts = [_text(item) for item in found]
    message = _text(by_name.get("message"))
    return [text for text in texts if text] or ([message] if message else [])


def by_small_name(data: Any) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in data.items()} if isinstance(data, dict) else {}


def refusal(answer: Answer, *, entity: str, is_write: bool) -> PsaError:
    """The error to raise for an answer of 400 and above."""
    data = answer.refusal_data()
    told = told_errors(data)
    status = answer.status
    if status == 401:
        return sign_in_refused()
    if status == 429 or any(_THREADS.search(text) for text in told):
        return _throttled(answer, told)
    if status == 404 and not answer.is_html:
        return NotFound(f"Autotask does not find this record. {' '.join(told)}".strip(), status=status)
    if status == 403 or any(_PERMISSION.search(text) for text in told):
        return _not_permitted(entity, told, status)
    if not told or (status >= 500 and not by_small_name(data).get("errors")):  # a gateway's `message`
        return Unreachable(
            f"Autotask has trouble (status {status}) and does not say which.",
            outcome_unknown=is_write and status >= 500,
            was_answered=answer.is_own_failure,
            status=status,
            advice="It is tried again by itself. If it stays like this, ask Autotask's support.",
        )
    return by_sentence(told, status=status, is_write=is_write)


def sign_in_refused() -> SignInRefused:
    return SignInRefused("Autotask refused the sign-in.", advice=SIGN_IN_ADVICE, status=401)


def by_sentence(told: Sequence[str], *, status: int, is_write: bool) -> PsaError:
    """The meaning of what Autotask says, when nothing but its words tells."""
    text = " ".join(told)[:500]
    sentence = f"Autotask refused the data: {text}"
    if re.search(r"integrationcode is invalid", text, re.IGNORECASE):
        return SignInRefused(
            "Autotask does not know the tracking identifier.", advice=SIGN_IN_ADVICE, status=status
        )
    if _HOURLY.search(text):
        return Throttled(f"Autotask's hourly calls are used up: {text}", retry_after=300.0, status=status)
    if known := _billing(text, sentence, status):
        return known
    if _GONE.search(text):
        return NotFound(f"Autotask does not find this record. {text}", status=status)
    fields = _fields(told)
    if fields or _NO_QUEUE.search(text):
        return _about_a_field(sentence, fields or {"queueID": text}, status)
    if _TROUBLE.search(text):
        return Unreachable(
            f"Autotask has trouble: {text}",
            outcome_unknown=is_write,
            was_answered=status in (200, 500),
            status=status,
        )
    return Rejected(sentence, fields=fields, status=status)


def _billing(text: str, sentence: str, status: int) -> PsaError | None:
    if _OUT_OF_RANGE.search(text):
        return Misconfigured(
            sentence,
            field="agreement",
            status=status,
            advice="The contract has ended or not begun. Extend it in Autotask, or choose the one that follows it.",
        )
    if _POSTED.search(text):
        return Misconfigured(
            sentence,
            field="agreement",
            status=status,
            advice="The period is approved and posted. Un-post it in Autotask, or wait for the next period.",
        )
    if _TWICE_A_DAY.search(text):
        return Rejected(
            "Autotask takes one change a day for a service of a contract, and today's was made already.",
            advice="Synchronize again tomorrow, or change the units in Autotask.",
            status=status,
        )
    return None


def _throttled(answer: Answer, told: Sequence[str]) -> Throttled:
    is_threads = any(_THREADS.search(text) for text in told) or "thread" in answer.text.lower()
    if is_threads and "Retry-After" not in answer.headers:
        return Throttled(
            "Autotask allows three calls at once for each entity.", retry_after=2.0, status=answer.status
        )
    return Throttled(
        "Autotask asks us to slow down.", retry_after=retry_after(answer.headers), status=answer.status
    )


def _not_permitted(entity: str, told: Sequence[str], status: int) -> NotPermitted:
    module = module_for(entity)
    said = f" Autotask: {told[0]}" if told else ""
    return NotPermitted(
        f"The API user may not do this ({module.name}).{said}"[:500],
        module=module.name,
        advice=module.fix,
        status=status,
    )


def _about_a_field(sentence: str, fields: Mapping[str, str], status: int) -> PsaError:
    for name in fields:
        if setting := SETTINGS.get(name.lower()):
            return Misconfigured(sentence, field=setting, status=status, advice=choose_again(setting))
    if any("required" in text.lower() for text in fields.values()):
        name = next(iter(fields))
        return Misconfigured(sentence, field=name, status=status, advice=required_advice(name))
    return Rejected(sentence, fields=fields, status=status)


def choose_again(setting: str) -> str:
    return (
        f"Choose the {LABELS.get(setting, setting)} again in the settings; Reload Options from PSA shows what Autotask"
        " has now."
    )


def required_advice(name: str) -> str:
    return (
        f"In Autotask, Admin > Features & Settings > Service Desk > Ticket Categories > (category): give {name} a"
        " default or make it optional, or choose another category here."
    )


def _fields(told: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in told:
        for pattern in _FIELDS:
            if match := pattern.search(text):
                found.setdefault(match.group(1), text)
                break
    return found


def _text(value: Any) -> str:
    text = value.get("message") if isinstance(value, dict) else value
    return " ".join(text.split())[:500] if isinstance(text, str) else ""
