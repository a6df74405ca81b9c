from __future__ import annotations

from collections.abc import Iterator

import pytest

from integrations.psa.port import Psa
from tests.contract.houses import HOUSES, AutotaskHouse, ConnectWiseHouse, FakeHouse, House, SandboxHouse
from tests.contract.recorder import ListeningSandbox

BEHIND: dict[str, type[SandboxHouse]] = {"connectwise": ConnectWiseHouse, "autotask": AutotaskHouse}


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, ListeningSandbox]]:
    running = {kind: ListeningSandbox(kind) for kind in BEHIND}
    for sandbox in running.values():
        sandbox.start()
    yield running
    for sandbox in running.values():
        sandbox.stop()


@pytest.fixture(params=list(HOUSES))
def house(request: pytest.FixtureRequest, sandboxes: dict[str, ListeningSandbox]) -> Iterator[House]:
    """Each promise is made by all three. Whatever went over the wire has to agree with the vendor's document."""
    if request.param == "fake":
        yield FakeHouse()
        return
    made = BEHIND[request.param](sandboxes[request.param])
    yield made
    made.close()
    assert made.fresh_violations() == []


@pytest.fixture
def psa(house: House) -> Psa:
    return house.psa
