"""Whose a channel is, and the deadlines of the blocking client on a clock that stands still."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import grpc.aio
import grpc_testing
import pytest

from support.alert_stubs import an_alert
from support.scripted_answers import answering
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.client import AlertClient, RetryPolicy, SyncAlertClient

SERVICE = pb.DESCRIPTOR.services_by_name["AlertService"]
FOUND = pb.GetAlertResponse(alert=an_alert(1))
ID = an_alert(1).alert_id


async def test_a_channel_of_the_callers_own_is_not_closed_with_the_client() -> None:
    with answering() as (script, target):
        script.answers["GetAlert"].append(FOUND)
        async with grpc.aio.insecure_channel(target) as channel:
            for _ in range(2):
                async with AlertClient(channel) as client:
                    assert await client.get_alert(ID) == an_alert(1)


def test_a_blocking_channel_of_the_callers_own_is_not_closed_with_the_client() -> None:
    with answering() as (script, target), grpc.insecure_channel(target) as channel:
        script.answers["GetAlert"].append(FOUND)
        for _ in range(2):
            with SyncAlertClient(channel) as client:
                assert client.get_alert(ID) == an_alert(1)


async def test_a_client_closes_the_channel_that_it_opened() -> None:
    with answering() as (_, target):
        async with AlertClient(target) as client:
            pass
        with pytest.raises(grpc.aio.UsageError):
            await client.get_alert(ID)


def test_a_blocking_client_closes_the_channel_that_it_opened() -> None:
    with answering() as (_, target):
        with SyncAlertClient(target) as client:
            pass
        with pytest.raises(ValueError, match="closed channel"):
            client.get_alert(ID)


def test_threads_may_share_a_blocking_client() -> None:
    with answering() as (script, target), SyncAlertClient(target) as client:
        script.answers["GetAlert"].append(FOUND)
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(client.get_alert, [ID] * 40))

    assert found == [an_alert(1)] * 40


def test_an_attempt_that_passes_its_deadline_is_followed_by_another() -> None:
    time = grpc_testing.strict_fake_time(0)
    channel = grpc_testing.channel([SERVICE], time)
    retry = RetryPolicy(attempt=timedelta(seconds=5), sleep=lambda seconds: None)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(SyncAlertClient(channel, retry=retry).get_alert, ID)
        _, request, call = channel.take_unary_unary(SERVICE.methods_by_name["GetAlert"])
        assert request == pb.GetAlertRequest(alert_id=ID)
        call.terminate(None, (), grpc.StatusCode.DEADLINE_EXCEEDED, "late")

        _, again, call = channel.take_unary_unary(SERVICE.methods_by_name["GetAlert"])
        assert again == request
        call.terminate(FOUND, (), grpc.StatusCode.OK, "")
        assert answer.result(10) == an_alert(1)
