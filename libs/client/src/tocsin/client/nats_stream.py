"""The event log as a stream of NATS JetStream: where it stands, and what is added to it.

Each event is a message under `<subject>.<kind>.<alert_id>`, so that a subscriber may ask for some
kinds, or for the last word on each alert. Its body is a `tocsin.api.alert.v1.AlertEvent` in binary;
its headers are:

Nats-Msg-Id       `epoch:revision` of the event; the event's id when it is synthetic
Tocsin-Position   `epoch:revision` after which to go on when this is the last message
Tocsin-Synthetic  `true` when the event was found by comparison, as after a restore

The stream is its own memory: whoever writes reads where it stands from its last message, and each
message names the sequence number of the one before it, so that the server refuses a gap, a double
and a second writer. https://docs.nats.io/nats-concepts/jetstream/headers
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy, Header, StreamConfig
from nats.js.errors import NotFoundError

from tocsin.api.alert.v1.event_pb2 import AlertEvent, Position
from tocsin.client.diff import apply_event
from tocsin.client.known import KnownAlerts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nats.aio.client import Client
    from nats.js.api import PubAck

    from tocsin.client.batch import StreamBatch

POSITION = "Tocsin-Position"
SYNTHETIC = "Tocsin-Synthetic"
CONTENT_TYPE = "application/protobuf; message=tocsin.api.alert.v1.AlertEvent"

_IN_FLIGHT = 256
_ANSWER_SECONDS = 10.0


class StreamLostError(Exception):
    """What the stream holds is not known any more, or not what was expected: look again."""


class StreamUnusableError(Exception):
    """The stream cannot be gone on with; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of a stream: its last sequence number, and the position after which to go on.

    `position` is None when it never held a message.
    """

    sequence: int
    position: Position | None


class AlertStream:
    """One stream of a JetStream, made when it is not there."""

    def __init__(self, nats: Client, name: str, subject: str, *, most_messages: int) -> None:
        """Keep so many messages at most; older ones go first."""
        self._jetstream = nats.jetstream(timeout=_ANSWER_SECONDS)
        self._name = name
        self._subject = subject
        self._most_messages = most_messages

    async def end(self) -> StreamEnd:
        """Return where the stream ends. Raises StreamUnusableError when that cannot be known."""
        try:
            state = (await self._jetstream.stream_info(self._name)).state
        except NotFoundError:
            await self._create()
            return StreamEnd(0, None)
        if state.last_seq == 0:
            return StreamEnd(0, None)
        try:
            last = await self._jetstream.get_msg(self._name, state.last_seq)
        except NotFoundError:
            raise StreamUnusableError(
                f"The stream {self._name} has lost its last message (a purge, or a limit by age), "
                "so where it stands is not known. Delete the stream, or use another one."
            ) from None
        return StreamEnd(state.last_seq, self._read((last.headers or {}).get(POSITION)))

    async def open_alerts(self) -> KnownAlerts:
        """Return the alerts that are not resolved, as the stream has told them.

        It must hold a message.
        """
        known = KnownAlerts()
        messages = await self._jetstream.subscribe(
            f"{self._subject}.>",
            stream=self._name,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT),
        )
        try:
            left = 1
            while left:
                message = await messages.next_msg(_ANSWER_SECONDS)
                apply_event(known, AlertEvent.FromString(message.data))
                left = message.metadata.num_pending
        finally:
            await messages.unsubscribe()
        return known

    async def append(self, end: StreamEnd, batch: StreamBatch) -> StreamEnd:
        """Add the events of a batch behind `end`, and return the new end.

        Raises StreamLostError when the stream does not end there any more, or did not answer: some
        of them may have been added then.
        """
        messages = list(_messages(self._subject, end.position, batch))
        for begin in range(0, len(messages), _IN_FLIGHT):
            await self._add(end.sequence + begin, messages[begin : begin + _IN_FLIGHT])
        return StreamEnd(end.sequence + len(messages), batch.position if messages else end.position)

    async def _add(self, sequence: int, messages: list[_Message]) -> None:
        answers: list[asyncio.Future[PubAck]] = []
        try:
            for number, message in enumerate(messages):
                headers = {**message.headers, Header.EXPECTED_LAST_SEQUENCE: str(sequence + number)}
                answers.append(
                    await self._jetstream.publish_async(
                        message.subject, message.payload, stream=self._name, headers=headers
                    )
                )
            async with asyncio.timeout(_ANSWER_SECONDS):
                acks = await asyncio.gather(*answers)
        except (NatsError, TimeoutError) as error:
            raise StreamLostError(str(error) or type(error).__name__) from error
        finally:
            for answer in answers:
                answer.cancel()
        if acks[-1].seq != sequence + len(messages):  # it was there already
            raise StreamLostError("somebody else has written to the stream")

    def _read(self, position: str | None) -> Position | None:
        if position == "":
            return None
        epoch, _, revision = (position or "").rpartition(":")
        try:
            return Position(epoch=str(UUID(epoch)), revision=int(revision))
        except ValueError:
            raise StreamUnusableError(
                f"The last message of the stream {self._name} is not one of Tocsin's: its header "
                f"{POSITION} is {position!r}. Use a stream that nothing else writes to."
            ) from None

    async def _create(self) -> None:
        await self._jetstream.add_stream(
            StreamConfig(
                name=self._name,
                subjects=[f"{self._subject}.>"],
                max_msgs=self._most_messages,
                description="The event log of Tocsin, written by `tocsin relay nats`",
            )
        )


class _Message(NamedTuple):
    subject: str
    payload: bytes
    headers: dict[str, str]


def _messages(subject: str, before: Position | None, batch: StreamBatch) -> Iterator[_Message]:
    """Yield a message for each event of a batch that follows on the position `before`."""
    for number, each in enumerate(batch.events, 1):
        event = each.event
        # The comparison can be made again as long as the position is the old one.
        after = batch.position if number == len(batch.events) else before
        position = _written(after if each.synthetic else event.position)
        headers = {
            Header.MSG_ID: event.event_id if each.synthetic else position,
            POSITION: position,
            "Content-Type": CONTENT_TYPE,
        }
        if each.synthetic:
            headers[SYNTHETIC] = "true"
        alert = event.alert
        yield _Message(
            f"{subject}.{alert.kind}.{alert.alert_id}", event.SerializeToString(), headers
        )


def _written(position: Position | None) -> str:
    return f"{position.epoch}:{position.revision}" if position is not None else ""
