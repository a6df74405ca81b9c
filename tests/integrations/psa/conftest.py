from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.psa.addresses import ANY_PORT, AddressPolicy
from integrations.psa.transport import SharedConnection, Transport

LOCAL = AddressPolicy(allow_http=True, allowed_networks=("127.0.0.0/8", "::1/128"), allowed_ports=(ANY_PORT,))

MakeTransport = Callable[..., Transport]


@pytest.fixture
def transport() -> Iterator[MakeTransport]:
    """Makes transports to local servers; what they hold open is closed at the end."""
    shared: list[SharedConnection] = []

    def make(site: str, *, policy: AddressPolicy = LOCAL, resolver: Any = None, **options: Any) -> Transport:
        connection = options.pop("shared", None)
        if connection is None:
            connection = SharedConnection(policy, **({"resolver": resolver} if resolver else {}))
            shared.append(connection)
        options.setdefault("deadline", 2.0)
        return Transport(site, shared=connection, **options)

    yield make
    for connection in shared:
        connection.close()
