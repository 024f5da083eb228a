"""Python's gql: place an order, then print each of its changes once, until it is final.

Run it with `python examples/python/place_and_follow.py [ISIN] [SIDE] [QUANTITY]`; needs `gql[aiohttp,websockets]`.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from uuid import uuid4

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportClosed, TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

URL = os.environ.get("FILLWIRE_URL", "http://127.0.0.1:8000/graphql")
LOCAL_TOKEN = Path(__file__).parents[2] / ".local" / "token"
ANSWER_SECONDS = 10
ATTEMPTS = 8
TRY_AGAIN = {"INTERNAL", "TIMED_OUT", "UNAVAILABLE"}
NO_ANSWER = (TransportConnectionFailed, TransportClosed, OSError, TimeoutError)
FINAL_CLOSE_CODES = {1009, 4400, 4401, 4406, 4409}  # The next connection would be closed with the same: docs/api.md.

PLACE = """
mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess { order { id version status filledQuantity } }
    ... on InvalidOrder { issues { path code message } }
    ... on ClientOrderIdConflict { existingOrder { id } }
    ... on UserError { code message }
  }
}
"""
FOLLOW = """
subscription Follow($orderId: ID!, $afterVersion: Int) {
  orderStatus(orderId: $orderId, afterVersion: $afterVersion) {
    order { version status filledQuantity isFinal }
  }
}
"""


def authorization() -> dict[str, str]:
    """Return a new Authorization header for each connection: tokens expire."""
    token = os.environ.get("FILLWIRE_TOKEN") or LOCAL_TOKEN.read_text().strip()
    return {"Authorization": f"Bearer {token}"}


async def place(order: dict[str, str]) -> dict:
    """Send until there is an answer: repeats with the same clientOrderId return the same order and never place a
    second one.
    """
    for attempt in range(ATTEMPTS):
        try:
            transport = AIOHTTPTransport(URL, headers=authorization(), timeout=ANSWER_SECONDS)
            async with Client(transport=transport) as session:
                result = (await session.execute(GraphQLRequest(PLACE, variable_values={"input": order})))["placeOrder"]
            if result["__typename"] != "Unavailable":
                return placed(result)
        except NO_ANSWER as error:
            print(f"No answer ({error}). The order is sent again.", file=sys.stderr)
        except TransportQueryError as error:
            refuse_unless_repeatable(error)
        await backoff(attempt)
    sys.exit("No answer. Whether the order was stored is known by asking orderByClientOrderId.")


def placed(result: dict) -> dict:
    """Return the placed order, or exit with what to fix. A failure that is added to the API later has a code and a
    message.
    """
    match result:
        case {"__typename": "PlaceOrderSuccess", "order": order}:
            return order
        case {"__typename": "InvalidOrder", "issues": issues}:
            sys.exit("\n".join(f"{'.'.join(issue['path'])} {issue['code']}: {issue['message']}" for issue in issues))
        case {"code": code, "message": message}:
            sys.exit(f"{code}: {message}")


async def follow(order: dict) -> None:
    """Print each change once. After a lost connection continue after the last received version."""
    attempt = 0
    while not order.get("isFinal"):
        try:
            url = URL.replace("http", "ws", 1)
            transport = WebsocketsTransport(url, init_payload=authorization(), ping_interval=10, pong_timeout=5)
            async with Client(transport=transport) as session:
                behind = {"orderId": order["id"], "afterVersion": order["version"]}
                async for update in session.subscribe(GraphQLRequest(FOLLOW, variable_values=behind)):
                    order |= update["orderStatus"]["order"]
                    show(order)
                    attempt = 0
        except NO_ANSWER as error:
            stop_if_final(error)
            print(f"The connection was lost ({error}).", file=sys.stderr)
        except TransportQueryError as error:
            refuse_unless_repeatable(error)
        attempt += 1
        await backoff(attempt)


def stop_if_final(error: BaseException) -> None:
    """End with the code and the reason of a close frame that says that connecting again is of no use."""
    frame = getattr(error.__cause__, "rcvd", None)  # gql keeps it in the error of websockets alone.
    if frame is not None and frame.code in FINAL_CLOSE_CODES:
        sys.exit(f"The socket was closed with {frame.code} {frame.reason}")


def refuse_unless_repeatable(error: TransportQueryError) -> None:
    """Exit with the error's message, unless the same call may succeed later."""
    for refusal in error.errors or []:
        code = refusal.get("extensions", {}).get("code")
        if code not in TRY_AGAIN:
            sys.exit(f"{code}: {refusal['message']}")


async def backoff(attempt: int) -> None:
    """Wait longer each time, with jitter between clients."""
    await asyncio.sleep(min(0.1 * 2**attempt, 10) * random.uniform(0.5, 1.5))


def show(order: dict) -> None:
    """One line for one version."""
    print(order["version"], order["status"], order["filledQuantity"], flush=True)


async def main() -> None:
    """Place one order with one clientOrderId, created once and sent unchanged in every repeat."""
    isin, side, quantity = (*sys.argv[1:], *("US0378331005", "BUY", "90")[len(sys.argv) - 1 :])
    wanted = {"isin": isin, "side": side, "type": "MARKET", "quantity": quantity}
    order = await place({"clientOrderId": str(uuid4()), **wanted})
    show(order)
    await follow(order)


asyncio.run(main())
