"""Does the reader that the other architecture tests trust see every import?"""

from pathlib import Path

import pytest

from tests.architecture import source


@pytest.fixture
def imports(tmp_path, monkeypatch):
    def read(text: str, path: str = "billing/push.py") -> list[source.Import]:
        monkeypatch.setattr(source, "ROOT", tmp_path)
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        source.imports_of.cache_clear()
        return list(source.imports_of(Path(path)))

    yield read
    source.imports_of.cache_clear()


@pytest.mark.parametrize(
    "line",
    [
        "import requests",
        "import requests.adapters as http",
        "from requests import Session",
        "from requests.adapters import X",
    ],
)
def test_every_spelling_of_an_import_is_seen(imports, line):
    assert [found.is_of("requests") for found in imports(line)] == [True]


def test_a_name_that_only_begins_alike_is_another_package(imports):
    assert not imports("import requests_mock")[0].is_of("requests")


def test_an_import_hidden_in_a_function_names_the_function(imports):
    [hidden] = imports("class Push:\n    def now(self):\n        if True:\n            import json\n")
    assert (hidden.inside, hidden.where) == ("now", "billing/push.py:4")


def test_an_import_for_types_counts_as_being_on_top(imports):
    [typed] = imports("if TYPE_CHECKING:\n    from portal.models import Client\n")
    assert typed.inside == ""


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("from . import x", "integrations.psa"),
        ("from .wanted import x", "integrations.psa.wanted"),
        ("from ..lanes import x", "integrations.lanes"),
    ],
)
def test_relative_imports_are_followed(imports, line, module):
    [found] = imports(line, "integrations/psa/transport.py")
    assert found.module == module
