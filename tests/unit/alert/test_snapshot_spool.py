"""Where a snapshot waits for its subscriber."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.rpc.snapshot import Spool


@given(
    st.lists(st.binary(max_size=40), max_size=40),
    st.integers(1, 10),
    st.integers(1, 100),
    st.sampled_from([1, 10_000]),
)
def test_what_goes_in_comes_out_in_order_in_bounded_pages(
    alerts: list[bytes], limit: int, max_bytes: int, memory_bytes: int
) -> None:
    with closing(Spool(memory_bytes)) as spool:
        for alert in alerts:
            spool.add(alert)
        pages = list(spool.pages(limit, max_bytes))
    assert alerts == [alert for page in pages for alert in page]
    assert all(0 < len(page) <= limit for page in pages)
    assert all(sum(map(len, page[:-1])) < max_bytes for page in pages)


@pytest.mark.parametrize("memory_bytes", [1, 10_000])
def test_an_empty_snapshot_has_no_page(memory_bytes: int) -> None:
    with closing(Spool(memory_bytes)) as spool:
        assert [] == list(spool.pages(10, 100))
