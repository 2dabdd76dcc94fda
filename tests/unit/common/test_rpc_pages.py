from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.errors import Violations
from tocsin.common.rpc.pages import page_token, read_page_token

places = st.lists(st.text(), min_size=1, max_size=3)


def read(token: str, scope: bytes = b"hosts", parts: int = 1) -> tuple[str, ...] | None:
    found = Violations()
    place = read_page_token(found, "page_token", token, scope, parts=parts)
    assert (place is None and token != "") == bool(found.found)
    return place


@given(scope=st.binary(), place=places)
def test_a_token_is_read_back_as_it_was_given(scope: bytes, place: list[str]) -> None:
    assert tuple(place) == read(page_token(scope, place), scope, len(place))


def test_no_token_is_the_first_page() -> None:
    assert None is read("")


@pytest.mark.parametrize(
    "token",
    [
        "2",
        "next",
        "AAAA",
        "!!!",
        "ключ",
        "\0",
        "=" * 9,
        "A" * 5000,
        base64.urlsafe_b64encode(b'12345678["host-7"]').decode(),
    ],
)
def test_a_token_that_was_made_up_is_refused(token: str) -> None:
    assert None is read(token)


def test_a_token_of_a_list_with_other_filters_is_refused() -> None:
    assert None is read(page_token(b"kind=a", ["x"]), b"kind=b")


def test_a_token_of_another_shape_is_refused() -> None:
    assert None is read(page_token(b"hosts", ["a", "b"]), b"hosts", parts=1)


@given(place=places, cut=st.integers(1, 20))
def test_a_token_that_was_cut_is_refused(place: list[str], cut: int) -> None:
    assert None is read(page_token(b"hosts", place)[:-cut] + "x", b"hosts", len(place))


@given(st.text(min_size=1))
def test_no_text_at_all_breaks_the_reader(token: str) -> None:
    assert None is read(token)
