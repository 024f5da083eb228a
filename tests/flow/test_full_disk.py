"""A full disk: probes report it, and report that it has room again, without a failed order."""

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.support.processes import eventually
from tests.support.servers import PostgresServer
from tests.support.system import Json, System, open_system

DISK_BYTES = 64 << 20
FILL_BYTES = 8_192
ORDERS_MAX = 2_000
LOOKS = 5
WITHIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A separate disk, as PostgreSQL's user sees it."""

    folder: Path

    def fill(self) -> None:
        """Leave no room."""
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(FILL_BYTES))

    def clear(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(postgres_server: PostgresServer) -> Iterator[SmallDisk]:
    """Mount a disk that can be filled without affecting others."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a disk")
    user = Path(f"/proc/{postgres_server.server.pid()}").stat().st_uid
    folder = tempfile.mkdtemp(prefix="fillwire-disk-")
    options = f"size={DISK_BYTES},mode=700,uid={user}"
    made = subprocess.run(
        ["/usr/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True
    )
    if made.returncode:
        Path(folder).rmdir()
        pytest.skip(f"this container may not make a disk: {made.stderr.decode()}")
    try:
        yield SmallDisk(Path(folder))
    finally:
        subprocess.run(["/usr/bin/umount", "--lazy", folder], check=True)
        Path(folder).rmdir()


@pytest.fixture
async def system(
    disk: SmallDisk, postgres_server: PostgresServer, migrated_template: str, redis_url: str
) -> AsyncIterator[System]:
    """Run an API over a database on that disk."""
    url = await postgres_server.create_database(template=migrated_template)
    connection = await asyncpg.connect(postgres_server.url)
    name = url.rpartition("/")[2]
    try:
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
        await connection.execute(f'ALTER DATABASE "{name}" SET TABLESPACE small')
        async with open_system(database_url=url, redis_url=redis_url) as system:
            await system.start("api")
            yield system
        await postgres_server.drop_database(url)
        await connection.execute("DROP TABLESPACE small")
    finally:
        await connection.close()


async def test_a_full_disk_is_the_reason_until_it_has_room_again(disk: SmallDisk, system: System) -> None:
    disk.fill()
    refused = await _place_until_refused(system)
    await _becomes(system, "disk full")
    assert {await _state(system) for _ in range(LOOKS)} == {"disk full"}

    disk.clear()
    await _becomes(system, "ok")

    assert refused["__typename"] == "Unavailable"
    assert await system.metric('orders_refused_total{cause="disk full"}') == 1
    await system.processes["api"].shows("sqlstate=53100", within_seconds=WITHIN_SECONDS)
    assert (await system.place())["__typename"] == "PlaceOrderSuccess"


async def _state(system: System) -> str:
    async with system.session.get(f"{system.probes_url('api')}/readyz") as response:
        state: str = (await response.json())["checks"]["database"]
        return state


async def _becomes(system: System, wanted: str) -> None:
    async def is_so() -> bool:
        return await _state(system) == wanted

    await eventually(is_so, within_seconds=WITHIN_SECONDS, what=f"/readyz says {wanted}")


async def _place_until_refused(system: System) -> Json:
    """Place orders until one is refused, and return that result: the tables' files have some room of their own."""
    for _ in range(ORDERS_MAX):
        result = await system.place()
        if result["__typename"] != "PlaceOrderSuccess":
            return result
    raise AssertionError(f"{ORDERS_MAX} orders were stored on a full disk")
