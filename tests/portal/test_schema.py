"""The OpenAPI document is whole: it is valid, and names every call."""

from __future__ import annotations

from pathlib import Path

from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator


def test_the_openapi_document_is_valid_and_without_warnings(tmp_path: Path) -> None:
    target = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(target))
    text = target.read_text()
    assert text.startswith("openapi: 3.1")
    for path in (
        "/events",
        "/events/{id}",
        "/usage",
        "/clients",
        "/clients/{id}",
        "/deliveries/{id}/reprocess",
    ):
        assert f"/api/v1{path}:" in text


def test_the_document_says_that_a_replay_has_no_result_until_it_is_done() -> None:
    shapes = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    assert set(shapes["ReplayOut"]["properties"]["result"]["type"]) == {"object", "null"}
