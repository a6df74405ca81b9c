"""Whatever a PSA answers, the adapter answers our types or raises our errors, and nothing else."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.options import LISTS
from integrations.psa.errors import PsaError
from integrations.psa.kinds import connect
from integrations.psa.port import SignIn
from integrations.psa.wanted import WantedLine, WantedLines
from tests.integrations.psa.conftest import LOCAL
from tests.integrations.psa.connectwise.conftest import backup_failed

SITE = "https://api-na.myconnectwise.net"
SIGN_IN = SignIn(site=SITE, login_company="cirrus", public_key="Pub", secret="S3cretKey")
STORAGE = WantedLine(
    key="s", product_id="301", product_name="OBS-GB", quantity=Decimal(3), create_if_missing=True
)
LINES = WantedLines(agreement_id="401", agreement_name="Backup", company_id="250", lines=(STORAGE,))

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from(
            ["2026-02-01T10:00:00Z", "1E+999999999", "<script>", "17", "Closed", "\u202e", "x" * 3000]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = (  # noqa: SIM905 - shorter to read
    "id summary externalXRef closedFlag board status company mergedParentTicket _info name identifier product"
    " quantity lessIncluded unitPrice serialNumber cancelledDate closedStatus inactive sortOrder typeAssociationIds"
    " territory unitOfMeasure type billingCycle agreementStatus code message errors error Codebase dateEntered"
    " moduleFunctionName addLevel editLevel inquireLevel version"
).split()
RECORDS = st.one_of(
    VALUES,
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12).map(lambda row: {**row, "id": 17}),
)
BODIES = st.one_of(RECORDS, st.lists(RECORDS, max_size=4))

VERBS: dict[str, Callable[[ConnectWisePsa], object]] = {
    "check": lambda psa: psa.check(["tickets", "closing", "billing", "statistics"]),
    "companies": lambda psa: psa.companies("ott"),
    "choices": lambda psa: [psa.choices(kind) for kind in LISTS],
    "agreements": lambda psa: psa.choices("agreement", "250"),
    "lines": lambda psa: psa.lines("401"),
    "ticket": lambda psa: psa.ticket("17"),
    "find": lambda psa: psa.find_tickets("portal-17-1"),
    "recent": lambda psa: psa.recent_tickets("portal-", datetime(2026, 1, 1, tzinfo=UTC)),
    "open": lambda psa: psa.apply(psa.plan_ticket(backup_failed())),
    "close": lambda psa: psa.apply(psa.plan_ticket(backup_failed(state="closed", known_id="17"))),
    "close elsewhere": lambda psa: psa.apply(
        psa.plan_ticket(backup_failed(state="closed", known_id="17", closing_status_id=None, note="over"))
    ),
    "push": lambda psa: psa.apply(psa.plan_lines(LINES)),
}


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    info=BODIES,
    body=BODIES,
    status=st.sampled_from([200, 200, 200, 200, 201, 400, 401, 403, 404, 409, 429, 500]),
)
def test_only_our_errors_come_out(verb: str, info: Any, body: Any, status: int) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as cloud:
        cloud.get(re.compile(".*/login/companyinfo/.*"), body=json.dumps({"Codebase": info}))
        for method in ("GET", "POST", "PATCH"):
            cloud.add(method, re.compile(".*/apis/3.0/.*"), body=json.dumps(body), status=status)
        for call in cloud.registered():
            call.content_type = "application/json"
        psa = connect("connectwise", SIGN_IN, policy=LOCAL)
        assert isinstance(psa, ConnectWisePsa)
        with contextlib.suppress(PsaError):
            VERBS[verb](psa)
        psa.close()
