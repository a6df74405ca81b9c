"""Texts that people and programs really send: quotes, wildcards, other alphabets, control characters, too long ones."""

from __future__ import annotations

import random

PIECES = (
    "Backup failed on SRV-01",
    "O'Neil & Söhne",
    'said "no space left"',
    "100 % of C:\\Backup\\*",
    "[ERROR] {17}",
    "_under_score_",
    "備份失敗",
    "النسخ الاحتياطي",
    "😀🔥",
    "a and b = c or (d)",
    "line one\nline two\r\nline three",
    "tab\there",
    "\x00\x07\x1b[31m bell",
    "`; DROP TABLE tickets --",
    "<script>alert(1)</script>",
    "null",
    "  blanks around  ",
    "e\u0301 combining",
    "zero\u200bwidth",
    "½ € ™",
)


def texts(count: int, seed: int) -> list[str]:
    """The same ones for the same seed; every fifth is far too long for any field."""
    dice = random.Random(seed)
    made = []
    for position in range(count):
        chosen = " ".join(dice.sample(PIECES, k=dice.randint(1, 4)))
        made.append(chosen * (40_000 // len(chosen)) if position % 5 == 4 else chosen)
    return made


def keys(count: int, seed: int) -> list[str]:
    """Keys of at most 50 characters; all begin alike."""
    dice = random.Random(seed)
    signs = "aB1-:./'\"%_*[]()&=+,;#@ äß😀"
    return [
        f"portal:{number}:" + "".join(dice.choice(signs) for _ in range(dice.randint(1, 30))).strip() + "x"
        for number in range(count)
    ]
