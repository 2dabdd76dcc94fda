"""Messages of which only a few fields are read: a client that reads less costs less.

What is not named is skipped by the parser, and a field that is named as bytes is not looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from google.protobuf.message import Message

BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
NUMBER = descriptor_pb2.FieldDescriptorProto.TYPE_INT64


class Field(NamedTuple):
    """A field of the wire: its number, how it is read, and whether there are several."""

    number: int
    type: descriptor_pb2.FieldDescriptorProto.Type.ValueType
    several: bool = False


def light_message(name: str, **fields: Field) -> type[Any]:
    """Make a message class that knows these fields only. A name is used once in a process."""
    file = descriptor_pb2.FileDescriptorProto(name=f"bench/{name}.proto", package="bench")
    file.syntax = "proto3"
    described = file.message_type.add(name=name)
    labels = descriptor_pb2.FieldDescriptorProto
    for field, given in fields.items():
        label = labels.LABEL_REPEATED if given.several else labels.LABEL_OPTIONAL
        described.field.add(name=field, number=given.number, type=given.type, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type[Message] = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"bench.{name}")
    )
    return made
