"""Faults of the event log and its readers."""

from __future__ import annotations

from support.mutants.mutant import ALERT, Edit, Mutant, the

_LOG = f"{ALERT}/eventlog/log.py"
_CHECKS = f"{ALERT}/eventlog/checks.py"
_EDGE = f"{ALERT}/eventlog/edge.py"
_TAIL = f"{ALERT}/eventlog/tail.py"
_FUNCTIONS = f"{ALERT}/store/migrations/versions/alert0006_packed_columns.py"

_EVENTLOG = "tests/integration/alert/test_eventlog.py"
_EDGE_TESTS = "tests/unit/alert/test_log_edge.py"
_TAIL_TESTS = "tests/integration/alert/test_tail.py"

# A bigserial: each transaction takes its numbers when it writes, and they are seen when it
# commits. Whoever built it so did not look for gaps either: a rollback leaves them.
_SERIAL = (
    Edit(
        _FUNCTIONS,
        "    PERFORM pg_advisory_xact_lock(lock);\n"
        "    SELECT coalesce(max(events.revision), 0) INTO head FROM events;\n",
        "    SELECT max(nextval('serial_of_events')) - cardinality(alert_ids) INTO head\n"
        "    FROM generate_series(1, cardinality(alert_ids));\n",
    ),
    Edit(
        _FUNCTIONS,
        "def upgrade() -> None:\n",
        'def upgrade() -> None:\n    op.execute("CREATE SEQUENCE serial_of_events")\n',
    ),
    Edit(
        _CHECKS,
        "    if any(map(ne, whole, map(_REVISION, page.entries))):\n",
        "    if False:\n",
    ),
    Edit(
        _CHECKS,
        "    if first > after + 1 and page.oldest == first:\n",
        "    if False:\n",
    ),
)

_MANY_WRITERS = (
    the(_EVENTLOG, "test_whoever_reads_while_many_write_sees_every_event_once_in_order"),
)

NAIVE_CURSOR = Mutant(
    "events are numbered by a sequence, and readers go on after the highest they saw",
    _SERIAL,
    _MANY_WRITERS,
)

ID_CURSOR_WITH_XMIN = Mutant(
    "… and readers wait for transactions that are older, yet go on after the highest number",
    (
        *_SERIAL,
        Edit(
            _LOG,
            "    FROM events WHERE revision > $1 ORDER BY revision LIMIT $2\n",
            "    FROM events WHERE revision > $1\n"
            "     AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint\n"
            "    ORDER BY revision LIMIT $2\n",
        ),
    ),
    _MANY_WRITERS,
)

LOCK_FORGOTTEN = Mutant(
    "the log is not locked while it is written",
    (Edit(_FUNCTIONS, "    PERFORM pg_advisory_xact_lock(lock);\n", ""),),
    _MANY_WRITERS,
)

NOTIFY_ONLY = Mutant(
    "NOTIFY is the only wake-up",
    (Edit(_TAIL, "        return self._poll\n", "        return timedelta(days=1)\n"),),
    (the(_TAIL_TESTS, "test_with_the_listener_dead_and_no_notify_the_poll_brings_every_event"),),
)

TWO_STATEMENTS_A_PAGE = Mutant(
    "the bounds of the log and a page of it are read by two statements",
    (
        Edit(
            _LOG,
            "    epoch, oldest, head, revisions, *columns = await connection.fetchrow(\n"
            "        _PAGE, after, limit, max_bytes\n"
            "    )\n",
            "    epoch, oldest, head = await connection.fetchrow(_BOUNDS)\n"
            "    _, _, _, revisions, *columns = await connection.fetchrow(\n"
            "        _PAGE, after, limit, max_bytes\n"
            "    )\n",
        ),
    ),
    (the(_EVENTLOG, "test_a_page_is_one_statement"),),
)

GAP_NOT_SEEN = Mutant(
    "a reader does not look for gaps",
    (
        Edit(
            _CHECKS,
            "    if any(map(ne, whole, map(_REVISION, page.entries))):\n",
            "    if False:\n",
        ),
    ),
    ("tests/unit/alert/test_log_checks.py", _TAIL_TESTS),
)

OWN_COMMIT_BEFORE_OTHERS = Mutant(
    "an own commit is published before what others committed first",
    (
        Edit(
            _EDGE,
            "            and appended.revisions.start == broadcast.head + 1\n",
            "",
        ),
        Edit(
            f"{ALERT}/eventlog/broadcast.py",
            "        if entries[0].revision != self.head + 1:\n",
            "        if False:\n",
        ),
    ),
    (_EDGE_TESTS,),
)

OTHER_EPOCH_FOLLOWED = Mutant(
    "a restored log is read on as if it were the former one",
    (Edit(_CHECKS, "    if after.epoch != bounds.epoch:\n", "    if False:\n"),),
    ("tests/unit/alert/test_log_checks.py", "tests/integration/alert/test_watch.py"),
)

SNAPSHOT_OF_TWO_MOMENTS = Mutant(
    "a snapshot and its position are of two moments",
    (
        Edit(
            f"{ALERT}/rpc/snapshot.py",
            'isolation="repeatable_read"',
            'isolation="read_committed"',
        ),
    ),
    (
        the(
            "tests/integration/alert/test_watch_snapshot.py",
            "test_what_changes_while_the_snapshot_is_read_is_not_in_it_and_follows_it",
        ),
    ),
)

NEWEST_COMPACTED = Mutant(
    "the newest event is compacted too, and revisions begin anew",
    (
        Edit(
            f"{ALERT}/eventlog/compaction.py",
            "            keep = max(1, self._retention.revisions)\n",
            "            keep = self._retention.revisions\n",
        ),
    ),
    ("tests/integration/alert/test_compaction.py",),
)

STREAM = (
    NAIVE_CURSOR,
    ID_CURSOR_WITH_XMIN,
    LOCK_FORGOTTEN,
    NOTIFY_ONLY,
    TWO_STATEMENTS_A_PAGE,
    GAP_NOT_SEEN,
    OWN_COMMIT_BEFORE_OTHERS,
    OTHER_EPOCH_FOLLOWED,
    SNAPSHOT_OF_TWO_MOMENTS,
    NEWEST_COMPACTED,
)
