"""Does everything stand in the room, and on the floor, where it belongs?

The direction alerts -> billing -> integrations -> portal itself is held by import-linter (`make check`).
"""

import sys

import pytest

from tests.architecture.source import ROOMS, Import, imports_of, modules, name_of

# module -> functions that may import; each with its reason
IMPORTS_INSIDE_ON_PURPOSE: dict[str, set[str]] = {}
# Django calls AppConfig.ready() when models may be imported, and not before.
READY = ("apps", "ready")

VAGUE = {"services", "utils", "util", "helpers", "helper", "misc", "common", "managers"}
DOORS = {
    "api_urls",
    "urls",
    "hooks",
    "admin",
    "api",
    "mappingapi",
    "views",
    "jobs",
    "management",
    "templatetags",
    "forms",
    "serializers",
}
# A door of one subject is named for both: mappingviews, mappingforms, mappingapi.
NAMED_DOORS = ("views", "forms", "api", "api_urls")
# library -> where it may be imported; requests has its one door, what lies beneath it may be split
WAYS_OUT = {
    "requests": "integrations.psa.transport",
    "urllib3": "integrations.psa",
    "httpx": "nowhere",
    "aiohttp": "nowhere",
}


def sites(found: list[Import]) -> list[str]:
    return [f"{hit.where} {hit.module}" for hit in found]


def is_door(name: str) -> bool:
    """portal.api, alerts.admin.tickets, integrations.mappingviews: yes; integrations.psa.kinds: no."""
    room, *rest = name.split(".")
    return (
        room in ROOMS
        and bool(rest)
        and (rest[0] in DOORS or (rest[0].endswith(NAMED_DOORS) and rest[0] != "openapi"))
    )


@pytest.mark.parametrize(("library", "way_out"), WAYS_OUT.items(), ids=WAYS_OUT)
def test_there_is_one_way_out(library, way_out):
    offenders = [
        hit
        for path in modules(*ROOMS)
        if not f"{name_of(path)}.".startswith(f"{way_out}.")
        for hit in imports_of(path)
        if hit.is_of(library)
    ]
    assert sites(offenders) == []


@pytest.mark.parametrize("folder", ["integrations/psa", "integrations/sandbox"])
def test_a_plain_library_imports_nothing_of_ours_but_itself(folder):
    itself = folder.replace("/", ".")
    offenders = [
        hit
        for path in modules(folder)
        for hit in imports_of(path)
        if any(hit.is_of(room) for room in ROOMS) and not hit.is_of(itself)
    ]
    assert sites(offenders) == []


def test_imports_are_on_top():
    offenders = [
        hit
        for path in modules(*ROOMS)
        for hit in imports_of(path)
        if hit.inside
        and (path.stem, hit.inside) != READY
        and hit.inside not in IMPORTS_INSIDE_ON_PURPOSE.get(name_of(path), set())
    ]
    assert sites(offenders) == []


def test_operations_and_models_do_not_know_the_doors():
    offenders = [
        hit
        for path in modules(*ROOMS)
        if not is_door(name_of(path))
        for hit in imports_of(path)
        if is_door(hit.module)
        or any(is_door(f"{hit.module}.{name}") for name in hit.names if hit.module in ROOMS)
    ]
    assert sites(offenders) == []


def test_every_module_is_named_for_its_subject():
    vague = [str(path) for path in modules(*ROOMS) if path.stem in VAGUE or path.parent.name in VAGUE]
    assert vague == []


def test_no_module_of_a_room_is_named_like_one_of_the_standard_library():
    namesakes = [
        str(path)
        for path in modules(*ROOMS)
        if len(path.parts) == 2 and path.stem in sys.stdlib_module_names and path.stem != "__init__"
    ]
    assert namesakes == []
