"""What holds the documents to the truth: it finds what is not as shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.answers import Likeness
from support.grpcurl import parse
from support.pages import blocks

ONE, OTHER = "01a202a3-731a-7670-90ab-9d2787dde76a", "01a202a3-748a-75cc-9d79-6e21b1f56400"
SHOWN = {
    "id": ONE,
    "state": "OPEN",
    "time": "2026-01-31T02:00:00Z",
    "text": "told 2026-01-31 02:00:00Z",
}
REAL = {
    "id": OTHER,
    "state": "OPEN",
    "time": "2027-03-01T09:00:00.5Z",
    "text": "told 2027-03-01 09:00:00Z",
}


def test_ids_and_times_may_differ_and_ids_are_learned() -> None:
    likeness = Likeness(later=timedelta(hours=1))
    assert [] == likeness.differences(SHOWN, REAL)
    assert f"{OTHER} at 2026-01-31T03:00:00Z" == likeness.here(f"{ONE} at 2026-01-31T02:00:00Z")


def test_an_id_that_was_learned_must_stay_the_same() -> None:
    likeness = Likeness({ONE: ONE})
    assert likeness.differences(SHOWN, REAL)


@pytest.mark.parametrize(
    ("shown", "real", "told"),
    [
        ({**SHOWN, "state": "RESOLVED"}, REAL, "'OPEN' came, not 'RESOLVED'"),
        ({**SHOWN, "more": 1}, REAL, "more did not come"),
        (SHOWN, {**REAL, "more": 1}, "more is not shown"),
        ([SHOWN], [REAL, REAL], "2 came, 1 are shown"),
        ([SHOWN, "…"], [], "0 came, 1 are shown"),
        ({"a": {"b": ["x"]}}, {"a": {"b": ["y"]}}, "answer.a.b[0]: 'y' came, not 'x'"),
    ],
)
def test_whatever_else_differs_is_told_with_its_place(
    shown: object, real: object, told: str
) -> None:
    (difference,) = Likeness().differences(shown, real)
    assert told in difference


def test_what_is_left_out_may_be_anything() -> None:
    likeness = Likeness()
    assert [] == likeness.differences({"id": ONE, "…": "…"}, REAL)
    assert [] == likeness.differences([SHOWN, "…"], [REAL, 1, 2])
    assert [] == likeness.differences("tocsin_…", "tocsin_abc")


def test_lines_are_read_from_blocks_with_what_is_said_beside_them() -> None:
    page = """\
<!-- not run: make test (it would run itself) -->
```
make run     # until Ctrl-C
make test    # all of it
tocsin put \\
    --now
```
```
$ tocsin list
NONE
$ tocsin show
```
"""
    first, second = blocks(page, "")
    assert ["make run", "tocsin put --now"] == [each.line for each in first.to_run]
    assert "until Ctrl-C" == first.to_run[0].remark
    assert ["NONE\n", ""] == [each.answer for each in second.typed]


def test_a_call_of_grpcurl_is_read_with_its_options() -> None:
    call = parse("""grpcurl -plaintext -max-time 2 -d '{"a": "b c"}' 127.0.0.1:7070 a.B/C""")
    assert ("127.0.0.1:7070", "a.B/C", '{"a": "b c"}') == (call.address, call.method, call.request)
    with pytest.raises(ValueError, match="-vv: not an option"):
        parse("grpcurl -vv 127.0.0.1:7070 list")
