"""What is sent now and what waits, by the tokens of a channel: a storm becomes a digest. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.health import Bucket
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.domain.own import KIND_CANARY, OWN_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tocsin.notify.domain.channel import RateLimit
    from tocsin.notify.domain.telling import Case

Parcel = tuple["Case", ...]
"""What is to be told together: one case, or the first news of a group."""

MOST_CARRIED: Final = 1_000
"""How much one digest carries at most."""

LONGEST_PAUSE: Final = timedelta(hours=1)
"""For how long a far side may ask that a whole channel be quiet. Each message honours more."""


@dataclass(frozen=True, slots=True)
class Share:
    """What becomes of cases that may be sent.

    `singles` are sent by themselves, each of `digests` as one message, `held` waits for tokens
    until `until`. What is in none of them is left as it is: there is no room for it yet. `bucket`
    is what remains.
    """

    singles: Parcel
    digests: tuple[Parcel, ...]
    held: Parcel
    until: datetime | None
    bucket: Bucket


def share_out(
    parcels: Sequence[Parcel],
    bucket: Bucket,
    rate: RateLimit | None,
    *,
    carries_digests: bool,
    room: int,
    now: datetime,
) -> Share:
    """Decide which of these parcels are sent, in at most `room` messages.

    Each message takes a token. When there are fewer tokens than parcels, and the channel carries
    digests, the last token tells all that is left in one digest. The canary, notify's own notices
    and what was begun already go first and never into a digest; then come the worst.
    """
    rate = rate if rate is not None and rate.burst > 0 else None
    ordered = _ordered(parcels, carries_digests=carries_digests)
    if is_paused(bucket, now):
        return _held_until(bucket.as_of, ordered, bucket)
    if rate is None:
        return _sent(ordered[:room], (), None, Bucket())
    present = refilled(bucket, rate, now)
    tokens = math.floor(present.tokens)
    if len(ordered) <= tokens or tokens > room:  # the last token is not touched yet
        sent = ordered[:room]
        return _sent(sent, (), None, _less(present, len(sent)))
    sent, rest = _with_last_digest(ordered, tokens, carries_digests=carries_digests)
    left = _less(present, len(sent))
    return _sent(sent, rest, next_token_time(left, rate, now), left)


def refilled(bucket: Bucket, rate: RateLimit, now: datetime) -> Bucket:
    """Return the bucket as it is at `now`; `rate` has a burst of at least 1."""
    if bucket.as_of is None:
        return Bucket(float(rate.burst), now)
    if rate.refill_period <= timedelta():
        return Bucket(float(rate.burst), now)
    passed = max(timedelta(), now - bucket.as_of)
    tokens = bucket.tokens + passed / rate.refill_period
    return Bucket(min(float(rate.burst), tokens), now)


def next_token_time(bucket: Bucket, rate: RateLimit, now: datetime) -> datetime:
    """Return when there will be a whole token again; `bucket` is as of `now`."""
    missing = max(0.0, 1.0 - bucket.tokens)
    # A little later, so that no rounding leaves it short of one.
    return now + rate.refill_period * missing + timedelta(milliseconds=1)


def paused(bucket: Bucket, asked: timedelta, now: datetime) -> Bucket:
    """Return the bucket after the far side asked to be left alone for so long: then it has one.

    A pause that ends later stays. At most LONGEST_PAUSE.
    """
    until = now + min(asked, LONGEST_PAUSE)
    if asked <= timedelta() or (bucket.as_of is not None and bucket.as_of >= until):
        return bucket
    return Bucket(1.0, until)


def is_paused(bucket: Bucket, now: datetime) -> bool:
    """Whether the far side has asked to be left alone until after now."""
    return bucket.as_of is not None and bucket.as_of > now


def _ordered(parcels: Iterable[Parcel], *, carries_digests: bool) -> list[Parcel]:
    """Return the parcels, the most urgent first; what cannot go into a digest is alone."""
    split: list[Parcel] = []
    for parcel in parcels:
        alone = [case for case in parcel if not carries_digests or _goes_alone(case)]
        together = tuple(case for case in parcel if carries_digests and not _goes_alone(case))
        split += [(case,) for case in alone]
        split += [together] if together else []
    return sorted(split, key=lambda each: min(map(_rank, each)))


def _rank(case: Case) -> tuple[int, int]:
    message = case.notification
    if _goes_alone(case) or not isinstance(message, Notification):
        return 0, 0
    return 1 + (message.type is EventType.RESOLVED), -message.alert.severity


def _goes_alone(case: Case) -> bool:
    message = case.notification
    if case.told_as is not None or not isinstance(message, Notification):
        return True
    return message.alert.host_id == OWN_HOST and message.alert.kind == KIND_CANARY


def _with_last_digest(
    ordered: list[Parcel], tokens: int, *, carries_digests: bool
) -> tuple[list[Parcel], Parcel]:
    """Return what `tokens` send of more parcels than that, and what is left."""
    if tokens == 0 or not carries_digests:
        return ordered[:tokens], tuple(chain.from_iterable(ordered[tokens:]))
    first, rest = ordered[: tokens - 1], ordered[tokens - 1 :]
    left = list(chain.from_iterable(rest))
    if _goes_alone(left[0]):
        return [*first, (left[0],)], tuple(left[1:])
    return [*first, tuple(left[:MOST_CARRIED])], tuple(left[MOST_CARRIED:])


def _sent(sent: Iterable[Parcel], held: Parcel, until: datetime | None, bucket: Bucket) -> Share:
    sent = list(sent)
    return Share(
        singles=tuple(parcel[0] for parcel in sent if len(parcel) == 1),
        digests=tuple(parcel for parcel in sent if len(parcel) > 1),
        held=held,
        until=until if held else None,
        bucket=bucket,
    )


def _held_until(until: datetime | None, parcels: Iterable[Parcel], bucket: Bucket) -> Share:
    return Share((), (), tuple(chain.from_iterable(parcels)), until, bucket)


def _less(bucket: Bucket, messages: int) -> Bucket:
    return replace(bucket, tokens=bucket.tokens - messages)
