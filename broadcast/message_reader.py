"""Reads the messages on the channels: only for followed accounts, and only those that this installation has signed."""

from collections.abc import Sequence

from broadcast.account_stream import AccountStream
from broadcast.envelope import Envelope, Message, MessageError, MessageSigner, account_of
from broadcast.followed_accounts import FollowedAccounts
from broadcast.messages import decode
from domain.model.changes import RecordedChange
from domain.model.frozen import frozen
from domain.ports.telemetry import Metric, Telemetry


@frozen
class ReceivedChanges:
    """The contents of a message, and the stream that they belong to."""

    stream: AccountStream
    changes: Sequence[RecordedChange]
    newest: int


class MessageReader:
    """Verifies and decodes messages; counts and ignores those that are not genuine."""

    def __init__(self, signer: MessageSigner, *, followed: FollowedAccounts, telemetry: Telemetry) -> None:
        self._signer = signer
        self._followed = followed
        self._telemetry = telemetry

    def read(self, message: Message) -> ReceivedChanges | None:
        """Return the content of the message; None when its account has no subscriber, or it is not genuine.

        A genuine one whose changes cannot be read still shows that they exist.
        """
        try:
            account_id = account_of(message)
            stream = self._followed.get(account_id)
            if stream is None:
                return None
            envelope = self._signer.open(message, account_id=account_id)
        except MessageError as error:
            self._note("message_refused", error, message, next_step="ignored: it changes and announces nothing")
            return None
        return ReceivedChanges(stream=stream, changes=self._decode(envelope, message), newest=envelope.newest)

    def _decode(self, envelope: Envelope, message: Message) -> Sequence[RecordedChange]:
        try:
            return decode(envelope)
        except MessageError as error:
            self._note("message_unreadable", error, message, next_step="read from the database")
            return ()

    def _note(self, event: str, error: MessageError, message: Message, *, next_step: str) -> None:
        self._telemetry.count(Metric.MESSAGES_REFUSED, cause=error.refusal)
        channel = message.channel.decode(errors="replace")
        self._telemetry.warning(event, cause=error.refusal, channel=channel, error=str(error), next=next_step)
