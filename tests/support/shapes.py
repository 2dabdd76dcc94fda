"""Says whether a document has the shape that a vendor documents."""

from __future__ import annotations

from typing import Any


def conform(value: Any, shape: Any, where: str = "$") -> None:
    """Fail unless the value has the shape.

    A dict must have all keys of the shape but those that end in `?`, and no others. A list of one
    shape stands for any number of such values. A type, a predicate or the very value end it.
    """
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{where} is no object: {value!r}"
        known = {name.rstrip("?") for name in shape}
        assert set(value) <= known, f"{where} has {set(value) - known}"
        for name, inner in shape.items():
            if name.endswith("?") and name[:-1] not in value:
                continue
            assert name.rstrip("?") in value, f"{where} lacks {name}"
            conform(value[name.rstrip("?")], inner, f"{where}.{name.rstrip('?')}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{where} is no list: {value!r}"
        for number, each in enumerate(value):
            conform(each, shape[0], f"{where}[{number}]")
    elif isinstance(shape, type):
        assert type(value) is shape, f"{where} is no {shape.__name__}: {value!r}"
    elif callable(shape):
        assert shape(value), f"{where} is not allowed: {value!r}"
    else:
        assert shape == value, f"{where} is {value!r}, not {shape!r}"


def text(least: int, most: int) -> Any:
    """Return the shape of a text of so many characters."""
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def one_of(*values: Any) -> Any:
    """Return the shape of a value among these."""
    return lambda value: any(value == each and type(value) is type(each) for each in values)
