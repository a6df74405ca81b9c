"""Does a wrong setting stop the start with one sentence?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        check=False,
        env={**os.environ, "DEBUG": "true", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("url", ["nonsense", "mysql://root@db.example.com/portal"])
def test_an_unusable_database_url_is_named_with_what_it_should_look_like(url: str) -> None:
    stopped = start(DATABASE_URL=url)
    assert stopped.returncode != 0
    last = stopped.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "django.core.exceptions.ImproperlyConfigured: DATABASE_URL must look like postgres://"
    )


def test_an_empty_database_url_means_the_default() -> None:
    assert start(DATABASE_URL="").returncode == 0
