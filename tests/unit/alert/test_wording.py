from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.engine.wording import (
    CUT_MARK,
    MESSAGE_BYTES,
    NOTE_CHARACTERS,
    fit_message,
    fit_note,
)

# Short pieces repeated: long texts of every width of character at little cost.
long_texts = st.builds(
    lambda lead, piece, times: lead + piece * times,
    st.text(max_size=5),
    st.text(min_size=1, max_size=3),
    st.integers(0, 20_000),
)


@given(long_texts)
def test_a_message_is_kept_or_cut_at_a_character_boundary_with_a_mark(text: str) -> None:
    fitted = fit_message(text)

    assert len(fitted.encode()) <= MESSAGE_BYTES
    if len(text.encode()) <= MESSAGE_BYTES:
        assert fitted == text
    else:
        assert fitted.endswith(CUT_MARK)
        assert text.startswith(fitted.removesuffix(CUT_MARK))
        # Nothing is thrown away beyond the one character that did not fit.
        assert len(fitted.encode()) > MESSAGE_BYTES - 4


def test_a_message_of_exactly_16_kib_is_kept() -> None:
    text = "é" * (MESSAGE_BYTES // 2)

    assert fit_message(text) == text


def test_a_message_over_16_kib_is_cut_and_says_so() -> None:
    text = "x" * (MESSAGE_BYTES + 1)

    assert len(fit_message(text)) < MESSAGE_BYTES
    assert fit_message(text).endswith(CUT_MARK)


@given(long_texts)
def test_a_note_is_kept_or_cut_with_a_mark(text: str) -> None:
    fitted = fit_note(text)

    assert len(fitted) <= NOTE_CHARACTERS
    assert fitted == text or (
        len(text) > NOTE_CHARACTERS
        and fitted.endswith(CUT_MARK)
        and text.startswith(fitted.removesuffix(CUT_MARK))
    )
