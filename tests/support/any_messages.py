"""Any message of the contract, made from its description: mostly what may be sent, and what not."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_NOW = 1_767_225_600  # the beginning of 2026, where the tests' clocks begin
# One field in so many is anything at all.
_WILD = 12

_anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
_ids = st.sampled_from(["nas", "home", "nightly"])
_stamps = st.builds(
    Timestamp,
    seconds=st.integers(-(2**63), 2**63 - 1) | st.integers(-62_135_596_801, 253_402_300_800),
    nanos=st.integers(-1, 10**9),
)
_lengths = st.builds(
    Duration, seconds=st.integers(-(2**63), 2**63 - 1), nanos=st.integers(-(2**31), 2**31 - 1)
)
# By the name of the field, the full name of its message, or its type: what may be sent.
_FIT: dict[str | int, st.SearchStrategy[Any]] = {
    "host_id": st.just("nas"),
    "job_id": st.sampled_from(["j-1", "j-2"]) | st.uuids().map(str),
    "kind": st.sampled_from([1, 1, 2, 3, 4]),
    "named kind": st.sampled_from(["backup_failed", "check_failed"]),
    "job_kind": st.sampled_from([1, 1, 2, 3, 4]),
    "page_token": st.just(""),
    "cron": st.sampled_from(["30 2 * * *", "@daily", "0 0 29 2 *"]),
    "on_calendar": st.sampled_from(["Mon..Fri 02:30", "*-*-01 04:00"]),
    "time_zone": st.sampled_from(["", "Europe/Berlin", "Australia/Lord_Howe"]),
    "exit_code": st.integers(-255, 255),
    "google.protobuf.Timestamp": st.builds(Timestamp, seconds=st.integers(_NOW - 9_999, _NOW)),
    "google.protobuf.Duration": st.builds(Duration, seconds=st.integers(900, 2_678_400)),
    FieldDescriptor.TYPE_STRING: _ids,
    FieldDescriptor.TYPE_ENUM: st.integers(1, 3),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(0, 1_000),
    FieldDescriptor.TYPE_INT64: st.integers(0, 2**63 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(0, 1_000),
}
_ANY: dict[str | int, st.SearchStrategy[Any]] = {
    "time_zone": st.sampled_from(["posix", "../x", "Europe/", "\0"]) | _anything,
    "cron": st.sampled_from(["0 0 30 2 *", "* * * * * *", ""]) | _anything,
    "google.protobuf.Timestamp": _stamps,
    "google.protobuf.Duration": _lengths,
    FieldDescriptor.TYPE_STRING: st.sampled_from(["", "\0", "ж" * 256, "x" * 257]) | _anything,
    FieldDescriptor.TYPE_ENUM: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 9),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
}


# Without these there is little to try.
_ALWAYS = ("host_id", "schedule_id", "job_id", "job_kind", "kind", "result", "recurrence")


def messages(of: Descriptor) -> st.SearchStrategy[Any]:
    """Return messages of a type with some of its fields, and with one of each oneof."""
    made: Any = GetMessageClass(of)
    either = [oneof.fields for oneof in of.oneofs if len(oneof.fields) > 1]
    alone = {each.name for one in either for each in one}
    fields = {each.name: _values(each) for each in of.fields if each.name not in alone}
    always = {name: fields.pop(name) for name in _ALWAYS if name in fields}
    parts = [
        st.fixed_dictionaries(always, optional=fields),
        *(
            st.one_of([st.fixed_dictionaries({each.name: _values(each)}) for each in one])
            for one in either
        ),
    ]
    return st.tuples(*parts).map(lambda given: made(**dict(ChainMap(*given))))


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return st.dictionaries(_ids, _ids) | st.dictionaries(_anything, _anything, max_size=40)
    one = _single(field)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _single(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    of = field.message_type
    # The kind of a job is an enum, that of an alert a text.
    is_text = field.name == "kind" and field.type == FieldDescriptor.TYPE_STRING
    name = "named kind" if is_text else field.name
    names = (name, field.type if of is None else of.full_name)
    if of is not None and of.full_name not in _FIT:
        return messages(of)
    fit = next(_FIT[name] for name in names if name in _FIT)
    wild = next(_ANY[name] for name in names if name in _ANY)
    return st.integers(1, _WILD).flatmap(lambda drawn: wild if drawn == _WILD else fit)
