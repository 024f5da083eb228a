"""A stolen token is revoked: within two seconds no process serves it, over HTTP or an open websocket."""

import asyncio
import json
import time
from datetime import UTC, datetime

from tests.security.two_apis import HEADS, IN_FORCE_SECONDS, PLACE, TwoApis, mint, new_order
from tests.support.processes import eventually, running


async def test_a_revoked_token_is_refused_by_every_process_within_two_seconds(apis: TwoApis) -> None:
    stolen, other = mint(jti="stolen"), mint()
    before = {await apis.status(token, head=head) for head in HEADS for token in (stolen, other)}

    result = await apis.revoke(tokenId="stolen")

    started = time.monotonic()
    await asyncio.gather(*(apis.becomes(401, stolen, head=head, within_seconds=IN_FORCE_SECONDS) for head in HEADS))
    in_force_at = datetime.fromisoformat(result["inForceAt"])
    assert before == {200}
    assert result["__typename"] == "RevokeTokensSuccess"
    assert (in_force_at - datetime.now(UTC)).total_seconds() <= IN_FORCE_SECONDS - (time.monotonic() - started)
    assert {await apis.status(other, head=head) for head in HEADS} == {200}


async def test_a_revoked_token_closes_its_sockets_in_every_process_and_no_others(apis: TwoApis) -> None:
    stolen = mint(jti="stolen from a socket")
    async with (
        apis.socket(stolen, head="api") as first,
        apis.socket(stolen, head="api-2") as second,
        apis.socket(mint(), head="api-2") as other,
    ):
        assert await first.placed(new_order()) == "PlaceOrderSuccess"
        await apis.revoke(tokenId="stolen from a socket")

        codes = await asyncio.gather(*(socket.closed(within_seconds=IN_FORCE_SECONDS) for socket in (first, second)))

        assert codes == [4403, 4403]
        assert await other.placed(new_order()) == "PlaceOrderSuccess"
    assert await apis.system.metric("sockets_closed_total", head="api-2") >= 1
    assert await apis.system.metric("revocations_in_force", head="api-2") >= 1


async def test_a_socket_of_a_revoked_token_places_nothing_while_it_waits_to_be_closed(apis: TwoApis) -> None:
    stolen, late = mint(jti="stolen by a robot"), [new_order() for _ in range(10)]
    async with apis.socket(stolen) as a, apis.socket(stolen) as b, apis.socket(stolen) as c, apis.socket(stolen) as d:
        sockets = [a, b, c, d]
        await apis.revoke(tokenId="stolen by a robot")
        await apis.becomes(401, stolen)

        for order in late:
            await asyncio.gather(*(socket.place(order) for socket in sockets), return_exceptions=True)
        codes = await asyncio.gather(*(socket.closed() for socket in sockets))

    assert set(codes) == {4403}
    assert [await apis.is_stored(order) for order in late] == [False] * len(late)


async def test_a_body_that_arrives_after_its_token_was_revoked_places_nothing(apis: TwoApis) -> None:
    stolen, order = mint(jti="stolen and slow"), new_order()
    body = json.dumps({"query": PLACE, "variables": {"input": order}}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", apis.system.ports["api"])
    head = (
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {stolen}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:10])
    await writer.drain()

    await apis.revoke(tokenId="stolen and slow")
    await apis.becomes(401, stolen)
    writer.write(body[10:])
    async with asyncio.timeout(5):
        status_line = await reader.readline()
    writer.close()

    assert status_line.split()[1] == b"401"
    assert not await apis.is_stored(order)


async def test_tokens_of_an_account_from_before_a_moment_are_revoked_and_later_ones_are_not(apis: TwoApis) -> None:
    now = int(time.time())
    old, newer = mint("bob", iat=now - 100), mint("bob", iat=now - 10)
    undated, others = mint("bob", iat=None), mint("bert", iat=now - 100)
    before = {await apis.status(token, head="api-2") for token in (old, newer, undated, others)}

    await apis.revoke(accountId="bob", issuedBefore=datetime.fromtimestamp(now - 50, UTC).isoformat())

    await apis.becomes(401, old, head="api-2", within_seconds=IN_FORCE_SECONDS)
    assert before == {200}
    assert await apis.status(newer, head="api-2") == 200
    # Its age is unknown.
    assert await apis.status(undated, head="api-2") == 401
    assert await apis.status(others, head="api-2") == 200


async def test_an_earlier_moment_takes_no_revocation_back(apis: TwoApis) -> None:
    token = mint("carol", iat=int(time.time()) - 10)
    await apis.revoke(accountId="carol")
    await apis.becomes(401, token)
    await apis.revoke(accountId="carol", issuedBefore="2020-01-01T00:00:00Z")
    await apis.revoke(tokenId="a later revocation")
    await apis.becomes(401, mint("dora", jti="a later revocation"))

    assert await apis.status(token) == 401
    # Of a later second: the account itself is not locked out.
    assert await apis.status(mint("carol", iat=int(time.time()) + 1)) == 200


async def test_an_operator_on_call_revokes_at_the_command_line(apis: TwoApis) -> None:
    token, environment = mint("erin", iat=int(time.time()) - 10), apis.system.environment
    assert await apis.status(token) == 200

    arguments = ["-m", "runtime", "tokens", "revoke", "--account", "erin", "--reason", "a stolen laptop"]
    async with running(arguments, environment=environment) as command:
        code = await command.ends(within_seconds=20)
        await eventually(lambda: command.silent, within_seconds=5)

    assert code == 0, command.output
    assert "In force in every process by" in command.output[-1]
    await apis.becomes(401, token, within_seconds=IN_FORCE_SECONDS)


async def test_without_the_database_what_was_revoked_stays_so_and_a_new_revocation_waits(apis: TwoApis) -> None:
    stolen, later, valid = mint(jti="stolen before"), mint(jti="stolen later"), mint()
    await apis.revoke(tokenId="stolen before")
    await asyncio.gather(*(apis.becomes(401, stolen, head=head) for head in HEADS))

    await apis.database.take_away()
    result = await apis.revoke(tokenId="stolen later")
    during = [await apis.status(token) for token in (stolen, later, valid)]
    await apis.database.restore()
    repeated = await eventually(lambda: _revoked(apis, "stolen later"), within_seconds=10)

    assert result["code"] == "UNAVAILABLE"
    assert during == [401, 200, 200]
    assert repeated["__typename"] == "RevokeTokensSuccess"
    await asyncio.gather(*(apis.becomes(401, later, head=head) for head in HEADS))
    assert [await apis.status(token) for token in (stolen, valid)] == [401, 200]


async def test_a_process_that_starts_without_the_database_accepts_no_token_before_it_has_read_the_revocations(
    apis: TwoApis,
) -> None:
    stolen, valid = mint(jti="stolen long ago"), mint()
    await apis.revoke(tokenId="stolen long ago")
    await apis.system.stop("api-2")
    await apis.database.take_away()
    await apis.system.start("api-2")

    during = [await apis.post(token, head="api-2") for token in (stolen, valid)]
    await apis.database.restore()
    await apis.becomes(200, valid, head="api-2")

    assert [status for status, _ in during] == [503, 503]
    assert {answer["errors"][0]["extensions"]["code"] for _, answer in during} == {"UNAVAILABLE"}
    assert await apis.status(stolen, head="api-2") == 401


async def test_who_is_no_operator_revokes_nothing(apis: TwoApis) -> None:
    victim = mint(jti="of a victim")

    _, answer = await apis.post(
        mint("mallory"),
        'mutation { revokeTokens(input: {tokenId: "of a victim", reason: "spite"}) { __typename } }',
    )

    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    await apis.revoke(tokenId="of somebody else")
    await apis.becomes(401, mint(jti="of somebody else"))
    assert await apis.status(victim) == 200


async def _revoked(apis: TwoApis, token_id: str) -> dict[str, object] | None:
    result = await apis.revoke(tokenId=token_id)
    return result if result["__typename"] == "RevokeTokensSuccess" else None
