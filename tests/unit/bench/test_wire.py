"""What the load generators say and read."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bench import frames
from bench.bodies import framed, raise_body
from bench.frames import Frame, frame, take_frames
from bench.h2load import times_in
from bench.light import BYTES, Field, light_message
from bench.processes import cpu_seconds, family, memory_mebibytes
from bench.receiver import Arrivals, Connection
from bench.storm import Told, what_was_told
from tocsin.api.alert.v1.alert_service_pb2 import RaiseOrTouchRequest

some_frames = st.lists(
    st.builds(
        Frame,
        st.integers(0, 9),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.binary(max_size=300),
    )
)


@given(some_frames, st.integers(1, 50))
def test_frames_are_read_as_they_were_sent_however_they_are_cut(
    sent: list[Frame], size: int
) -> None:
    wire = b"".join(frame(*each) for each in sent)
    received, read = bytearray(), []
    for at in range(0, len(wire), size):
        received += wire[at : at + size]
        read += take_frames(received)

    assert (sent, b"") == (read, bytes(received))


def test_a_long_payload_has_its_length_in_three_bytes() -> None:
    assert b"\x01\x00\x02" == frame(frames.DATA, 0, 1, bytes(65_538))[:3]


def test_the_headers_of_a_call_are_literals_that_touch_no_table() -> None:
    block = frames.call_headers("127.0.0.1:7070", "/a")

    assert block.startswith(b"\0\x07:method\x04POST\0\x07:scheme\x04http\0\x05:path\x02/a")


def test_a_message_is_framed_by_its_length() -> None:
    assert b"\0\0\0\0\x03abc" == framed(b"abc")


def test_every_number_is_a_key_of_its_own() -> None:
    requests = [RaiseOrTouchRequest.FromString(raise_body("web", number)) for number in range(120)]

    assert 120 == len({(each.host_id, each.kind, each.dedup_key) for each in requests})
    assert 3 == len({each.host_id for each in requests})


def test_the_first_seconds_of_a_load_are_not_counted() -> None:
    log = "1000000\t200\t500\n1999999\t200\t600\n2000000\t200\t700\n2500000\t200\t1500\n"

    assert [0.7, 1.5] == times_in(log, skipped_seconds=1)
    assert [] == times_in("", skipped_seconds=1)


def test_webhooks_are_taken_however_they_are_cut() -> None:
    body = b'{"data": 1}'
    request = b"POST / HTTP/1.1\r\nContent-Length: 11\r\nX: y\r\n\r\n" + body
    arrivals = Arrivals()
    connection = Connection(arrivals)
    for at in range(0, 2 * len(request), 7):
        connection.data_received((request * 2)[at : at + 7])

    assert [body, body] == arrivals.bodies
    assert 2 == len(arrivals.moments)


def test_of_a_message_only_the_named_fields_are_read() -> None:
    light = light_message("TestedRequest", host=Field(1, BYTES), text=Field(5, BYTES))
    request = RaiseOrTouchRequest(host_id="web", kind="backup_failed", message="no route")

    read = light.FromString(request.SerializeToString())

    assert (b"web", b"no route") == (read.host, read.text)


def test_what_a_storm_told_is_read_in_the_order_in_which_it_came() -> None:
    def told(alert_id: str, revision: int, severity: str) -> bytes:
        alert = {"alert_id": alert_id, "severity": severity}
        return json.dumps({"data": {"alert": alert, "position": {"revision": revision}}}).encode()

    bodies = [
        told("a", 1, "warning"),
        told("b", 2, "warning"),
        told("a", 4, "critical"),
        told("b", 1, "warning"),
    ]

    assert Told(alerts=2, critical=1, disordered=1, requests=4) == what_was_told(bodies)


def test_a_process_is_seen_with_those_that_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = family(os.getpid())
        child.communicate(b"\n")

    assert os.getpid() == found[0]
    assert child.pid in found
    assert memory_mebibytes(os.getpid()) > 1
    assert cpu_seconds(os.getpid()) > 0
