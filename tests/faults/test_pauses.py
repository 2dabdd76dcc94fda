"""Each process is frozen for a while, and thaws: nobody else waits, and nothing is told wrongly."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.descendants import descendants_of
from support.pausing import WITHIN, Stage, stage
from support.receiver import Answer
from support.waiting import eventually
from tocsin.client import EventSubscription

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.figures import Figures
    from tocsin.common.postgres.embedded import Binaries

pytestmark = pytest.mark.slow

LEASE_SECONDS = 2


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Freeze processes for the time of a block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def pause_the_sender(stage: Stage, seconds: float) -> int:
    """Freeze the one that sends, with the answer on its way; return how often that was told."""
    answer = asyncio.Event()
    stage.receiver.script(Answer(hold=answer))
    key = f"sender {seconds}"
    with frozen(stage.other.pid):
        assert 1 == await stage.told(key)
        stage.notify.pause()
    try:
        await asyncio.sleep(seconds)  # the length of the pause, not a synchronisation
        await stage.receiver.wait_until(lambda: stage.times(key) > 1, within=WITHIN)
    finally:
        stage.notify.go_on()
    answer.set()
    await eventually(lambda: "late_settle_refused" in stage.log.read_text(), within=WITHIN)
    # Whatever it might still have sent would come before this.
    await stage.alerts.auto_resolve("nas", "backup_failed", key)
    await stage.receiver.wait_until(lambda: stage.times(key) > 2, within=WITHIN)
    return stage.times(key) - 1


async def pause_others(stage: Stage, seconds: float) -> dict[str, float]:
    """Freeze one after the other; return how long after its thaw a raise was told."""
    server = stage.cluster.pid
    assert server is not None
    pids = {
        "alert": {stage.alert.pid},
        "notify": {stage.notify.pid, stage.other.pid},
        "postgresql": {server, *descendants_of(server)},
    }
    resumed = dict[str, float]()
    for name, those in pids.items():
        with frozen(*those):
            telling = asyncio.create_task(stage.told(f"{name} {seconds}"))
            await asyncio.sleep(seconds)  # the length of the pause
        thawed = time.monotonic()
        await telling
        resumed[f"{name} {seconds:g} s"] = round(time.monotonic() - thawed, 2)
    return resumed


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param((0.5,), id="slice"),
        pytest.param((5.0, 30.0), id="full", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(900)
async def test_a_frozen_process_holds_up_nobody_for_long_and_changes_nothing_when_it_thaws(
    postgres_binaries: Binaries, tmp_path: Path, figures: Figures, *, lengths: tuple[float, ...]
) -> None:
    async with stage(postgres_binaries, tmp_path, LEASE_SECONDS) as all_of_it:
        tellings = [await pause_the_sender(all_of_it, seconds) for seconds in lengths]
        resumed = dict[str, float]()
        for seconds in lengths:
            resumed |= await pause_others(all_of_it, seconds)
        subscription = EventSubscription(all_of_it.alerts.channel, on_first="oldest")
        last = (await all_of_it.alerts.list_alerts_page()).position.revision
        revisions = list[int]()
        async with subscription:
            while len(revisions) < last:
                batch = await anext(subscription)
                revisions += [each.event.position.revision for each in batch.events]
        by_id = [each.webhook_id for each in all_of_it.receiver.requests]

    print(resumed)  # noqa: T201 - shown when it fails
    # Raised by the one, again by the other once the lease was over, and resolved: no more.
    assert [2] * len(lengths) == tellings
    assert list(range(1, last + 1)) == revisions
    slowest = max(resumed, key=lambda each: resumed[each])
    figures.record(
        fault="pauses",
        paused=len(lengths) + len(resumed),
        longest_pause_s=max(lengths),
        late_settles_refused=len(lengths),
        told_twice=len(by_id) - len(set(by_id)),
        slowest_to_resume_s=resumed[slowest],
        slowest=slowest,
    )
