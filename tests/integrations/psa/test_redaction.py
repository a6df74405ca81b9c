from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.psa.redaction import Redaction

SECRET = 'p"ri v/ate+Key\\é'


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_spelling(spelling: str) -> None:
    assert Redaction([SECRET])(f"a {spelling} b") == "a [secret] b"


@given(before=st.text(max_size=60), after=st.text(max_size=60), length=st.integers(1, 80))
def test_no_part_of_a_secret_survives_a_cut(before: str, after: str, length: int) -> None:
    # Longer than the mask, so that masking moves what follows to the left.
    secret = "ZQXJKVBWZQXJKVBWZQXJKVBW"
    for letter in set(secret):
        before, after = before.replace(letter, ""), after.replace(letter, "")
    shown = Redaction([secret]).cut(f"{before}{secret}{secret}{after}{secret}", length)
    assert len(shown) <= length
    assert not set(secret) & set(shown)


def test_without_secrets_nothing_is_masked() -> None:
    assert Redaction(["", ""])("text") == "text"
