"""How secrets are kept out of whatever is kept or shown (asked by the transport for logs, errors and exchanges)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "[secret]"


class Redaction:
    """Replaces the given secrets in every spelling in which they travel: plain, in JSON, in a URL, in Basic."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._longest = len(longest_first[0]) if longest_first else 0

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def cut(self, text: str, length: int) -> str:
        """The masked beginning of the text; a secret that straddles the cut does not show its first half."""
        if len(text) <= length:
            return self(text)[:length]
        return self(text[: length + self._longest])[: -self._longest or None][:length]


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield base64.b64encode(secret.encode()).decode()
