"""Secrets at rest."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.domain.channel import Secrets
from tocsin.notify.store.sealing import Sealing, SecretsUnreadableError

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
CHANNEL, OTHER_CHANNEL = UUID(int=1), UUID(int=2)
SECRETS = Secrets(signing_secret="whsec_one", previous_signing_secret="whsec_two", password="pass")


def sealed() -> bytes:
    value = Sealing(KEY).seal(CHANNEL, SECRETS)
    assert value is not None
    return value


@given(st.builds(Secrets, st.text(), st.text(), st.text()))
def test_what_was_sealed_opens_to_the_same(secrets: Secrets) -> None:
    sealing = Sealing(KEY)

    assert secrets == sealing.open(CHANNEL, sealing.seal(CHANNEL, secrets))


def test_no_secrets_are_sealed_as_nothing() -> None:
    assert Sealing(KEY).seal(CHANNEL, Secrets()) is None
    assert Secrets() == Sealing(KEY).open(CHANNEL, None)


def test_the_sealed_value_shows_nothing_and_is_never_the_same_twice() -> None:
    first, second = sealed(), sealed()

    assert b"whsec" not in first
    assert first != second


def test_a_value_moved_to_another_channel_does_not_open() -> None:
    with pytest.raises(SecretsUnreadableError):
        Sealing(KEY).open(OTHER_CHANNEL, sealed())


def test_another_key_does_not_open_it_and_the_error_says_what_to_look_at() -> None:
    with pytest.raises(
        SecretsUnreadableError, match="its secrets cannot be opened; was the key changed"
    ):
        Sealing(OTHER_KEY).open(CHANNEL, sealed())


@given(st.data())
def test_no_bit_of_it_can_be_changed(data: st.DataObject) -> None:
    value = bytearray(sealed())
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SecretsUnreadableError):
        Sealing(KEY).open(CHANNEL, bytes(value))


@given(st.data())
def test_nothing_can_be_cut_off(data: st.DataObject) -> None:
    value = sealed()
    length = data.draw(st.integers(0, len(value) - 1))

    with pytest.raises(SecretsUnreadableError):
        Sealing(KEY).open(CHANNEL, value[:length])


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"holds {length} bytes; it must hold 32"):
        Sealing(b"k" * length)


def test_repr_hides_secrets() -> None:
    assert "whsec" not in repr(SECRETS)
    assert "pass" not in repr(SECRETS)
