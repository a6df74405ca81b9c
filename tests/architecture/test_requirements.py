"""Can everybody install what is pinned, from whatever index they use?"""

import re

import pytest

from tests.architecture.source import ROOT

REQUIREMENTS = sorted((ROOT / "requirements").iterdir())
PINNED = [path for path in REQUIREMENTS if path.suffix == ".txt"]
LOCKS_THAT_RECORD_HOSTS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "Pipfile.lock",
    "package-lock.json",
    "yarn.lock",
)
A_PLACE = re.compile(
    r"://|\bfile:|\bwww\.|\s@\s|^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b",
    re.MULTILINE,
)
A_HOST = re.compile(r"\b[a-z0-9-]+\.(org|com|net|io|dev|local|internal)\b")


def requirements_in(path) -> list[str]:
    text = path.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("#", "-c "))]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_name_no_place_to_fetch_from(path):
    assert not A_PLACE.search(path.read_text())
    assert not A_HOST.search(path.read_text())


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_every_requirement_is_one_version_with_its_hashes(path):
    loose = [
        line
        for line in requirements_in(path)
        if not re.match(r"[a-z0-9._-]+==\S+\s+--hash=sha256:[0-9a-f]{64}", line)
    ]
    assert loose == []


def test_tests_run_against_the_versions_that_are_deployed():
    pins = [dict(line.split()[0].split("==") for line in requirements_in(path)) for path in PINNED]
    base, dev = pins
    assert {name for name in base.keys() & dev.keys() if base[name] != dev[name]} == set()


def test_there_is_no_lock_file_that_records_hosts():
    found = [path.name for path in ROOT.iterdir() if path.name in LOCKS_THAT_RECORD_HOSTS]
    assert found == []
