"""Each link between the parts is cut, stalled, slowed and half opened: all goes on by itself."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest

from support.linked import LINKS, running_linked
from support.waiting import eventually
from tocsin.common.rpc import channel as rpc_channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.figures import Figures
    from support.linked import Linked
    from support.links import Link

FAULTS = ("cut", "stall", "slow", "half_open")
RESUMED_WITHIN = 5.0
BUSY_SECONDS = 25.0
"""What a machine that runs many tests at once may add."""
NOTICED_WITHIN = 30.0
"""A peer is asked after 15 s of silence, and has 10 s to answer."""
RPC_LINKS = LINKS[:2]
BOTH_ENDS = 2


async def seconds_to_resume(
    linked: Linked, names: Iterable[str], fault: str, outage: float
) -> float:
    """Harm links for a while, with a raise under way; return how long after it all was told."""
    harmed = [linked.links[name] for name in names]
    for link in harmed:
        getattr(link, fault)()
    raising = asyncio.create_task(linked.raise_one())
    # The length of the outage, not a synchronisation: whatever happens meanwhile is right.
    await asyncio.sleep(outage)
    for link in harmed:
        link.heal()
    healed = time.monotonic()
    key = await asyncio.wait_for(raising, NOTICED_WITHIN + BUSY_SECONDS)
    after = await linked.raise_one()
    for each in (key, after):
        await linked.is_told(each, within=NOTICED_WITHIN + BUSY_SECONDS)
    return time.monotonic() - healed


def chosen(seed: int, size: str) -> list[tuple[str, str]]:
    """Return what is harmed how: all of it, or each link in one way."""
    if size == "full":
        return list(product(LINKS, FAULTS[:3]))
    dice = random.Random(seed)
    return [(link, dice.choice(FAULTS[:3])) for link in LINKS]


@pytest.mark.parametrize(
    ("size", "outage"),
    [("slice", 0.5), pytest.param("full", 6.0, marks=pytest.mark.long)],
)
@pytest.mark.timeout(900)
async def test_all_goes_on_by_itself_within_seconds_of_the_healing_of_a_link(
    alert_url: str, notify_url: str, seed: int, figures: Figures, *, size: str, outage: float
) -> None:
    resumed = dict[str, float]()
    async with running_linked(alert_url, notify_url) as linked:
        for name, fault in chosen(seed, size):
            seconds = await seconds_to_resume(linked, [name], fault, outage)
            resumed[f"{name} {fault}"] = round(seconds, 2)
        last = await linked.raise_one()
        heard = await asyncio.wait_for(linked.hears(last), BUSY_SECONDS)

    print(resumed)  # noqa: T201 - shown when it fails
    assert [] == [each for each in resumed.items() if each[1] > RESUMED_WITHIN + BUSY_SECONDS]
    assert list(range(1, len(heard) + 1)) == heard
    slowest = max(resumed, key=lambda each: resumed[each])
    figures.record(
        fault="links",
        seed=seed,
        harmed=len(resumed),
        slowest_to_resume_s=resumed[slowest],
        slowest=slowest,
        events_missed=0,
    )


@pytest.mark.parametrize(
    ("harmed", "ask_after", "answer_within"),
    [
        pytest.param([RPC_LINKS], 1, 1, id="slice"),
        pytest.param(
            [LINKS[:1], LINKS[1:2], LINKS[2:]],
            rpc_channel.KEEPALIVE_SECONDS,
            rpc_channel.KEEPALIVE_TIMEOUT_SECONDS,
            id="full",
            marks=pytest.mark.long,
        ),
    ],
)
@pytest.mark.timeout(900)
async def test_a_peer_that_died_without_a_word_is_noticed_and_left(
    alert_url: str,
    notify_url: str,
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
    *,
    harmed: Sequence[Sequence[str]],
    ask_after: int,
    answer_within: int,
) -> None:
    """Every connection of a link dies at once; new ones are well. Nothing is healed."""
    monkeypatch.setattr(rpc_channel, "KEEPALIVE_SECONDS", ask_after)
    monkeypatch.setattr(rpc_channel, "KEEPALIVE_TIMEOUT_SECONDS", answer_within)
    noticed = dict[str, float]()
    async with running_linked(
        alert_url,
        notify_url,
        keepalive_seconds=ask_after,
        keepalive_timeout_seconds=answer_within,
        least_ping_seconds=0,
    ) as linked:
        heard = await linked.hears(await linked.raise_one())
        for names in harmed:
            seconds = await seconds_to_resume(linked, names, "half_open", 0.0)
            noticed[", ".join(names)] = round(seconds, 2)
        for link in (linked.links[name] for name in RPC_LINKS):
            await eventually(partial(has_been_left, link))
        last = await linked.raise_one()
        heard += await asyncio.wait_for(linked.hears(last), within(ask_after, answer_within))

    print(noticed)  # noqa: T201 - shown when it fails
    bound = within(ask_after, answer_within)
    assert [] == [each for each in noticed.items() if each[1] > bound]
    assert list(range(1, len(heard) + 1)) == heard
    figures.record(
        fault="links",
        half_opened=sum(map(len, harmed)),
        slowest_noticed_s=max(noticed.values()),
        noticed=", ".join(f"{name} {seconds} s" for name, seconds in noticed.items()),
    )


def has_been_left(link: Link) -> bool:
    return link.given_up >= BOTH_ENDS


def within(ask_after: float, answer_within: float) -> float:
    """How long a dead peer may go unnoticed. A call on the way may have to be made anew twice."""
    return ask_after + answer_within + BUSY_SECONDS
