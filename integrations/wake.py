"""How a dispatcher hears at once that there is work (asked by intake, reprocess and the dispatcher).

A ring that is lost costs at most one poll (`DISPATCH_POLL`): the deliveries themselves lie in the database. On
PostgreSQL the ring is a NOTIFY, sent by the commit itself; on SQLite a datagram to each dispatcher of this host.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

logger = logging.getLogger(__name__)
CHANNEL = "psap_deliveries"
SOCKETS = Path(settings.VAR) / "wake"


def ring() -> None:
    """Wake all dispatchers when the present transaction commits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
    else:
        transaction.on_commit(_ring_here)


def _ring_here() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        for path in SOCKETS.glob("*.sock"):
            try:
                sender.sendto(b"!", str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue


def listen(hear: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """A thread that calls `hear` at each ring until `stop` is set."""
    target = _listen_postgres if connection.vendor == "postgresql" else _listen_here
    thread = threading.Thread(target=target, args=(hear, stop), name="wake", daemon=True)
    thread.start()
    return thread


def _listen_here(hear: Callable[[], None], stop: threading.Event) -> None:
    SOCKETS.mkdir(parents=True, exist_ok=True)
    path = SOCKETS / f"{os.getpid()}-{threading.get_ident()}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(0.5)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                receiver.recv(16)
                hear()
    path.unlink(missing_ok=True)


def _listen_postgres(hear: Callable[[], None], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            _listen_once(hear, stop)
        except Exception:
            logger.warning("The wake-up connection was lost; polling goes on", exc_info=True)
            stop.wait(1)
    connection.close()


def _listen_once(hear: Callable[[], None], stop: threading.Event) -> None:
    connection.close()
    connection.ensure_connection()
    wire = connection.connection
    wire.autocommit = True
    wire.execute(f"LISTEN {CHANNEL}")
    while not stop.is_set():
        readable, _, _ = select.select([wire.fileno()], [], [], 0.5)
        if readable and list(wire.notifies(timeout=0)):
            hear()
