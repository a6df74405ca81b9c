"""One line a fact, with the request or event it belongs to (asked by logging)."""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")


SIGNATURE = re.compile(r"(?<=:)[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
"""What makes an address that was sent to somebody work: who reads the log must not be able to open it."""


class AddRequestId(logging.Filter):
    """Puts the present request id on every record, and takes signatures out of the addresses that it tells."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if isinstance(record.args, tuple):
            record.args = tuple(
                SIGNATURE.sub("***", one) if isinstance(one, str) else one for one in record.args
            )
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line; control characters cannot forge a second line."""

    def format(self, record: logging.LogRecord) -> str:
        fact = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fact["exception"] = self.formatException(record.exc_info)
        return json.dumps(fact)
