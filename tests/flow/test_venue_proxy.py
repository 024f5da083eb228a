"""Worker and ingest behind a proxy that wants a login: an order goes its whole way through it."""

from pathlib import Path

from tests.support.connect_proxy import connect_proxy
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import open_system

LOGIN, LOGIN_IN_URL, PASSWORD = "desk:p@ss/w0rd9137", "desk:p%40ss%2Fw0rd9137", "w0rd9137"
WITHIN_SECONDS = 15.0


async def test_an_order_is_placed_and_filled_through_the_proxy_whose_password_no_log_shows(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str, tmp_path: Path
) -> None:
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with (
        connect_proxy(login=LOGIN) as workers,
        connect_proxy(login=LOGIN) as ingests,
        open_system(database_url=database_url, redis_url=redis_url, settings={"LOG_LEVEL": "DEBUG"}) as system,
    ):
        for head, proxy in (("worker", workers), ("ingest", ingests)):
            file = tmp_path / head
            file.write_text(f"http://{LOGIN_IN_URL}@127.0.0.1:{proxy.port}\n")
            system.own_settings[head] = {"EXCHANGE_PROXY_FILE": str(file)}
        await system.start("api", "worker", "ingest")

        order_id = await system.placed_id(quantity="100")
        placed = await system.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
        fill = {"order_id": placed["venueOrderId"], "qty": "100", "price": "230", "force": True}
        await system.control("POST", "fills", fill)
        await system.becomes(order_id, "FILLED", within_seconds=WITHIN_SECONDS)

        exchange = f"127.0.0.1:{system.ports['exchange']}"
        assert set(workers.targets) == set(ingests.targets) == {exchange}
        assert workers.refused == ingests.refused == 0
        lines = [line for process in system.processes.values() for line in process.output]
        assert lines
        assert not [line for line in lines if PASSWORD in line]
