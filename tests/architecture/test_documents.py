"""Does what the documents name exist, and are the things that exist named?"""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGET = re.compile(r"^([a-zA-Z.-]+):(?!=)", re.MULTILINE)
# `make test` in running text, or a line of a code block that begins with it
NAMED = re.compile(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z-]*)", re.MULTILINE)
# the same for `manage.py rotatekeys` or `config plan`, up to the end of the quotation or line
COMMAND = re.compile(r"manage\.py ([a-z]+)([^`\n]*)")
FLAG = re.compile(r"(?<!\S)(--[a-z-]+)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
# env.str("NAME"), env("NAME"), env.db_url("NAME"), secret("NAME")
SETTING = re.compile(r"\b(?:env(?:\.\w+)?|secret)\(\s*\"([A-Z][A-Z0-9_]+)\"")


def targets() -> set[str]:
    return set(TARGET.findall((ROOT / "Makefile").read_text()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(document):
    assert set(NAMED.findall(document.read_text(encoding="utf-8"))) - targets() == set()


def commands() -> dict[str, str]:
    """Our own commands with their source, and others that the documents use."""
    ours = {path.stem: path.read_text() for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    return {
        **dict.fromkeys(("migrate", "collectstatic", "createsuperuser", "qcluster"), '"--noinput"'),
        **ours,
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists_and_knows_its_options(document):
    known, wrong = commands(), []
    for name, rest in COMMAND.findall(document.read_text(encoding="utf-8")):
        if name not in known:
            wrong.append(name)
        else:
            wrong += [f"{name} {flag}" for flag in FLAG.findall(rest) if f'"{flag}"' not in known[name]]
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(document):
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_make_target_says_what_it_is_for():
    makefile = (ROOT / "Makefile").read_text()
    silent = [
        name
        for name in targets() - {".PHONY", ".DEFAULT_GOAL"}
        if not re.search(rf"^{re.escape(name)}:.*## \S", makefile, re.MULTILINE)
    ]
    assert silent == []


def test_every_setting_is_explained_in_the_example():
    settings = Path(ROOT / "portal" / "settings.py")
    read = set(SETTING.findall(settings.read_text(encoding="utf-8"))) if settings.exists() else set()
    explained = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read - explained == set()


def test_every_top_folder_is_on_the_map():
    from_git = {"portal", "integrations", "billing", "alerts", "tests", "docs", "static", "requirements"}
    on_the_map = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    missing = [
        name for name in from_git if (ROOT / name).is_dir() and not re.search(rf"(?<!\w){name}/", on_the_map)
    ]
    assert missing == []


def test_every_module_is_on_the_map():
    map_text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    usual = {"__init__", "admin", "api", "api_urls", "apps", "forms", "jobs", "urls", "views", "wsgi"}
    missing = [
        f"{room}/{path.name}"
        for room in ("portal", "integrations", "billing", "alerts")
        for path in (ROOT / room).glob("*.py")
        if path.stem not in usual and path.name not in map_text
    ]
    assert missing == []


def test_pictures_of_guides_exist_are_told_in_words_and_stay_small():
    folder = ROOT / "docs" / "guides"
    named = [
        found for page in folder.glob("*.md") for found in PICTURE.findall(page.read_text(encoding="utf-8"))
    ]
    files = {f"pictures/{path.name}": path.stat().st_size for path in (folder / "pictures").glob("*")}
    assert {name for _, name in named} == set(files)
    assert [name for words, name in named if len(words) < 20] == []
    assert sum(files.values()) < 1_500_000
