"""Are the vendored front-end files the ones that were released, and will the static storage take them?"""

import hashlib

from tests.architecture.source import ROOT

VENDOR = ROOT / "static" / "vendor"


def listed() -> dict[str, str]:
    """file -> sha256; lines of VERSIONS.txt are `sha256  version  file`."""
    lines = [line.split() for line in (VENDOR / "VERSIONS.txt").read_text().splitlines()]
    return {words[2]: words[0] for words in lines if len(words) == 3 and len(words[0]) == 64}


def test_every_file_is_listed_with_its_checksum():
    files = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VERSIONS.txt"
    }
    assert files == listed()


def test_no_file_points_to_a_source_map_that_we_do_not_ship():
    pointing = [
        name for name in listed() if "sourceMappingURL" in (VENDOR / name).read_text(encoding="utf-8")
    ]
    assert pointing == []


def test_every_library_comes_with_its_licence():
    libraries = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert [path.name for path in libraries if not (path / "LICENSE").is_file()] == []
