"""The API never contradicts its own document: schemathesis sends what the document allows and what it does not.

`make fuzz` tries more than `make test` has time for, and prints how many requests had which answer.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.wsgi import application
from tests import make
from tests.flows.test_every_url import Scene, address, scene  # noqa: F401 - a fixture

EXAMPLES = int(os.environ.get("EXAMPLES", "2"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def document(db: None) -> Iterator[Any]:
    """The document as the product serves it; the test's database connection stays open between requests."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.parametrize("who", ["the partner", "the vendor", "a token without scopes"])
def test_no_call_contradicts_the_document(
    document: Any,
    scene: Scene,  # noqa: F811
    who: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    """Each call of the document with data it allows and data it does not, for ids that exist and ids that do not."""
    settings.API_REQUESTS_A_MINUTE = 10_000_000
    token = {
        "the partner": scene.tokens["owner"],
        "the vendor": make.token(None),
        "a token without scopes": make.token(make.partner("Scopeless"), scopes=()),
    }[who]
    headers = {"Authorization": f"Bearer {token}"}
    failures: list[str] = []
    answers: Counter[int] = Counter()
    for result in document.get_all_operations():
        operation = result.ok()
        try:
            fuzz(operation, scene, headers, answers)
        except BaseExceptionGroup as group:
            failures.append(
                f"{operation.label}: {[f'{one.title}: {one.message}' for one in group.exceptions]}"
            )
        except Exception as error:  # noqa: BLE001 - told below, with all others
            failures.append(f"{operation.label}: {error}")
    print(f"{who}: {sum(answers.values())} requests, by status {dict(sorted(answers.items()))}")  # noqa: T201 - asked for with -s
    assert not failures, "\n\n".join(failures)


number = itertools.count().__next__


def fuzz(operation: Any, scene: Scene, headers: dict[str, str], answers: Counter[int]) -> None:  # noqa: F811
    known = {}
    if "{id}" in operation.path:
        url = address(operation.path.lstrip("/").replace("{id}", "<uuid:pk>"), scene)
        known = {"id": url.removeprefix(operation.path.partition("{id}")[0]).partition("/")[0]}
    strategies = [
        operation.as_strategy(mode, **({"path_parameters": known} if ids else {}))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for ids in ((True, False) if known else (False,))
    ]

    @hypothesis_settings(
        max_examples=EXAMPLES * len(strategies),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(strategies))
    def once(case: Any) -> None:
        if case.headers and number() % 4:
            case.headers.pop("Idempotency-Key", None)
        answer = case.call(headers=headers)
        answers[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    once()
