"""The channels, by the library apprise: one address, one channel. No result may contain an address.

apprise blocks on sockets and sleeps between messages, so each message is sent in a separate thread that is not joined
at the end: not in an executor, whose threads are joined before a process may exit.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from runtime.alerts.grouping import AlertMessage
from runtime.observability.masking import SecretMask
from runtime.settings import SettingsError

if TYPE_CHECKING:
    from apprise import Apprise

PART_MASKED_MIN_CHARACTERS = 3
REASON_MAX_CHARACTERS = 300
# They log addresses and payloads: apprise in its errors, urllib3 each path at DEBUG.
_LIBRARIES_THAT_LOG_ADDRESSES = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")


class Channel:
    """One address. It sends one message at a time."""

    def __init__(self, *, number: int, address: str, sender: "Apprise") -> None:
        self.name = f"{number} ({urlsplit(address).scheme})"
        self._sender = sender
        self._mask = SecretMask(secret_parts(address))
        self._thread: threading.Thread | None = None

    async def send(self, message: AlertMessage, *, within_seconds: float) -> str | None:
        """Send the message; return None, or the reason why it was not sent. Never raises."""
        if self._thread is not None and self._thread.is_alive():
            return "the previous message is still being sent"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def work() -> None:
            reason = self._send(message)
            with suppress(RuntimeError):  # The loop is closed: the process did not wait any longer.
                loop.call_soon_threadsafe(_resolve, answer, reason)

        self._thread = threading.Thread(target=work, name=f"alert {self.name}", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(within_seconds):
                return await answer
        except TimeoutError:
            return f"no answer within {within_seconds:g} s"

    def _send(self, message: AlertMessage) -> str | None:
        from apprise import NotifyType  # noqa: PLC0415 - see `_open_channel`

        try:
            result = self._sender.notify(title=message.title, body=message.body, notify_type=NotifyType.FAILURE)
        except Exception as error:  # noqa: BLE001 - over a hundred plugins; any error of one is a failed message
            return type(error).__name__
        if result:
            return None
        logged = "; ".join(entry.message for entry in result.logs())
        return self._mask(logged)[:REASON_MAX_CHARACTERS] or "the channel did not accept it"


def open_channels(addresses: Sequence[str]) -> Sequence[Channel]:
    """Return a channel for each address. Raise SettingsError that names the place of one that cannot be used."""
    for name in _LIBRARIES_THAT_LOG_ADDRESSES:
        library = logging.getLogger(name)
        library.addHandler(logging.NullHandler())
        library.propagate = False
    return [_open_channel(number, address) for number, address in enumerate(addresses, start=1)]


def secret_parts(address: str) -> Sequence[str]:
    """Return every part of an address that might be a key, the longest first: a chat's host may be one."""
    parts = urlsplit(address)
    found = {address, parts.netloc, *parts.path.split("/"), *parts.netloc.replace("@", ":").split(":")}
    found |= {value for _, value in parse_qsl(parts.query)}
    found |= {unquote(part) for part in found}
    return sorted((part for part in found if len(part) >= PART_MASKED_MIN_CHARACTERS), key=len, reverse=True)


def _open_channel(number: int, address: str) -> Channel:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - a tenth of a start that most processes do not need

    # One service for each sender and no time limit by apprise: then `notify` runs only in the calling thread.
    asset = AppriseAsset(
        app_id="Fillwire",
        app_desc="Fillwire",
        app_url="",
        async_mode=False,
        service_timeout=0,
        http_redirects=False,
        secure_logging=True,
        storage_mode="memory",
        allow_templates=False,
        image_url_mask="",
        image_url_logo="",
    )
    sender = Apprise(asset=asset)
    if not sender.add(address):
        raise SettingsError(
            f"ALERT_URLS: address {number} cannot be used. It must be one that apprise knows and be complete, "
            "for example jsons://host/path, mailtos://user:password@host?to=address, slack://tokenA/tokenB/tokenC."
        )
    return Channel(number=number, address=address, sender=sender)


def _resolve(answer: asyncio.Future[str | None], reason: str | None) -> None:
    if not answer.done():
        answer.set_result(reason)
