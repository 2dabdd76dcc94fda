"""Faults of the write path of tocsin-alert."""

from __future__ import annotations

from support.mutants.mutant import ALERT, COMMON, Edit, Mutant, the

_TRANSITIONS = f"{ALERT}/engine/transitions.py"
_TRANSACTION = f"{ALERT}/ledger/transaction.py"
_LEDGER = f"{ALERT}/ledger/ledger.py"
_WRITER = f"{ALERT}/ledger/writer.py"
_HANDLERS = f"{ALERT}/rpc/alert_service.py"
_FIRST_TRY = f"{ALERT}/ledger/first_try.py"
_FUNCTIONS = f"{ALERT}/store/migrations/versions/alert0003_ledger_functions.py"
_COMPARISON = f"{ALERT}/store/migrations/versions/alert0006_packed_columns.py"

_CONCURRENCY = "tests/integration/alert/test_ledger_concurrency.py"
_FIRST_TRY_TESTS = "tests/integration/alert/test_first_try.py"
_LANE_TESTS = "tests/integration/alert/test_ledger_lane.py"
_TABLE = "tests/contract/test_alert_table.py"

SIDE_EFFECT_IN_THE_HANDLER = Mutant(
    "the event of a raise is written by the handler, after the commit",
    (
        Edit(
            _TRANSACTION,
            "    return [_entry(event, parts.encode_event) for event in book.events]\n",
            "    events = [event for event in book.events if event.type != 1]\n"
            "    return [_entry(event, parts.encode_event) for event in events]\n",
        ),
        Edit(
            _TRANSACTION,
            "def applied(",
            "async def tell(writer, alert):\n"
            "    from tocsin.alert.domain.event import Event, EventType\n"
            "    parts = writer._parts\n"
            "    event = Event(parts.new_id(), EventType.RAISED, alert, '', '', '',\n"
            "                  alert.raise_time, parts.clock.now(), '')\n"
            "    async with writer._hold._database.transaction() as connection:\n"
            "        appended = await log.append(connection, [_entry(event, parts.encode_event)])\n"
            "    writer._tell(appended)\n\n\n"
            "def applied(",
        ),
        Edit(
            _HANDLERS,
            "        return raise_answer_to_stub(await self._ledger.submit(command))\n",
            "        answer = await self._ledger.submit(command)\n"
            "        if answer.outcome == 1 and not answer.replayed:\n"
            "            from tocsin.alert.ledger.transaction import tell\n"
            "            await tell(self._ledger._lanes._first, answer.alert)\n"
            "        return raise_answer_to_stub(answer)\n",
        ),
    ),
    ("tests/faults/test_cancelled_calls.py",),
)

WRITTEN_BY_THE_CALL = Mutant(
    "a batch is written by the call that brought it, and dies with it",
    (
        Edit(
            _LEDGER,
            "            left.settle(_overloaded())\n",
            "            left.settle(_overloaded())\n"
            "        await self._lanes._first.write(self._queue.take())\n",
        ),
    ),
    (the(_LANE_TESTS, "test_a_cancelled_call_leaves_its_command_to_complete_or_never_to_start"),),
)

LIST_BEFORE_UPDATE = Mutant(
    "what is decided on is read before it is locked",
    (
        Edit(
            _FUNCTIONS,
            "        FOR UPDATE OF stored\n    ) AS locked;\n",
            "    ) AS locked;\n\n"
            "    PERFORM FROM unnest(host_ids, kinds, dedup_keys)\n"
            "         WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)\n"
            "    JOIN alert_keys AS stored USING (host_id, kind, dedup_key)\n"
            "    ORDER BY wanted.place\n"
            "    FOR UPDATE OF stored;\n",
        ),
    ),
    (
        the(
            "tests/integration/alert/test_ledger_functions.py",
            "test_what_is_read_after_a_lock_is_what_its_holder_has_left",
        ),
        _CONCURRENCY,
    ),
)

NO_LOCK = Mutant(
    "a key is not locked while it is decided on",
    (Edit(_FUNCTIONS, "        FOR UPDATE OF stored\n    ) AS locked;", "    ) AS locked;"),),
    (_CONCURRENCY,),
)

DEDUP_KEY_DROPPED = Mutant(
    "the dedup key is no part of the key",
    (
        Edit(
            f"{ALERT}/rpc/observations.py",
            "    return Key(host_id, kind, dedup_key)\n",
            '    return Key(host_id, kind, "")\n',
        ),
    ),
    (
        the(
            _TABLE,
            "test_two_source_groups_of_one_host_are_two_alerts_and_healing_one_leaves_the_other",
        ),
    ),
)

TIE_GOES_TO_SUCCESS = Mutant(
    "of a failure and a success at one time the success wins",
    (
        Edit(
            _TRANSITIONS,
            "    if success.observe_time <= standing.last_seen_time:",
            "    if success.observe_time < standing.last_seen_time:",
        ),
    ),
    ("tests/unit/alert/test_raise_and_clear.py",),
)

LATE_FAILURE_REOPENS = Mutant(
    "a late failure reopens what was healed",
    (
        Edit(
            _TRANSITIONS,
            "    if state.cleared_time is not None and failure.observe_time < state.cleared_time:",
            "    if False:",
        ),
    ),
    ("tests/unit/alert/test_raise_and_clear.py",),
)

CLEAR_FORGOTTEN = Mutant(
    "a success with nothing open is not remembered",
    (
        Edit(
            _FUNCTIONS,
            "    SET cleared_time = changed.cleared_time, last_alert_id = changed.last_alert_id",
            "    SET last_alert_id = changed.last_alert_id",
        ),
        Edit(
            _COMPARISON,
            "        SELECT new.host_id, new.kind, new.dedup_key, new.cleared_time, new.",
            "        SELECT new.host_id, new.kind, new.dedup_key, NULL::timestamptz, new.",
        ),
    ),
    (the(_TABLE, "test_a_success_with_nothing_open_is_remembered"),),
)

ANSWERS_FORGOTTEN = Mutant(
    "an answer is remembered, but not looked for",
    (
        Edit(
            _FUNCTIONS,
            "        WHERE requests.request_id = ANY(request_ids)\n",
            "        WHERE false\n",
        ),
    ),
    (the(_TABLE, "test_a_repeated_request_gets_the_first_answer_and_changes_nothing"),),
)

RACED_ANSWERS_OVERWRITTEN = Mutant(
    "an answer that somebody else has just remembered is written over",
    (Edit(_FUNCTIONS, "            WHERE requests.create_time < remembered_since\n", ""),),
    (
        the(
            "tests/integration/alert/test_ledger_functions.py",
            "test_an_answer_that_another_transaction_has_remembered_fails_the_write",
        ),
        _CONCURRENCY,
    ),
)

TOLD_BEFORE_COMMIT = Mutant(
    "readers are told of events before they are committed",
    (
        Edit(
            _WRITER,
            "                    return await write_batch(connection, commands, self._parts)\n",
            "                    written = await write_batch(connection, commands, self._parts)\n"
            "                    if written.appended.revisions:\n"
            "                        self._tell(written.appended)\n"
            "                    return written\n",
        ),
        Edit(
            _WRITER,
            "        if written.appended.revisions:\n            self._tell",
            "        if False:\n            self._tell",
        ),
    ),
    (the(_LANE_TESTS, "test_readers_are_told_nothing_that_is_not_committed"),),
)

RAISED_AT_THE_SWEEP = Mutant(
    "a host went silent when the sweep saw it, not at its deadline",
    (
        Edit(
            f"{ALERT}/ledger/deadlines.py",
            "        failure = offline_failure(replace(host, signs=stored.signs), deadline)\n",
            "        failure = offline_failure(replace(host, signs=stored.signs), batch.now)\n",
        ),
    ),
    (
        the(
            "tests/integration/alert/test_passed_deadlines.py",
            "test_a_silent_host_is_raised_at_its_deadline_and_explains_the_runs_that_did_not_come",
        ),
    ),
)

AUDIT_DROPPED = Mutant(
    "what people do is not written down",
    (
        Edit(
            _TRANSACTION,
            "    await record(connection, acts_of(commands, results), fold.book.now,"
            " parts.new_id)\n",
            "",
        ),
    ),
    (
        the(
            "tests/integration/alert/test_identity_service.py",
            "test_acknowledged_by_is_the_proven_identity_and_not_what_is_said",
        ),
    ),
)

ROLE_NOT_ASKED = Mutant(
    "whoever is known may do everything",
    (
        Edit(
            f"{COMMON}/identity/gate.py",
            "            require_right(rule, method, credential.peer)\n",
            "",
        ),
    ),
    ("tests/unit/common/test_identity_gate.py",),
)

EXPIRED_TOKEN_COUNTS = Mutant(
    "a token is good for ever",
    (
        Edit(
            f"{COMMON}/identity/gate.py",
            "    if credential.is_expired(now):",
            "    if False:",
        ),
    ),
    ("tests/unit/common/test_identity_gate.py",),
)

SAID_IS_PROVEN = Mutant(
    "who acts is who the request says",
    (
        Edit(
            f"{ALERT}/rpc/observations.py",
            "    return Caller(peer.actor, on_behalf_of,",
            "    return Caller(on_behalf_of or peer.actor, on_behalf_of,",
        ),
    ),
    (
        the(
            "tests/integration/alert/test_identity_service.py",
            "test_acknowledged_by_is_the_proven_identity_and_not_what_is_said",
        ),
    ),
)

VERSION_NOT_COMPARED = Mutant(
    "what was decided by an alert that has changed since is written",
    (
        Edit(
            _COMPARISON,
            "            WHERE alerts.version IS NOT DISTINCT FROM wanted.version\n"
            "              AND alerts.last_seen_time"
            " IS NOT DISTINCT FROM time_at_1(wanted.last_seen)\n",
            "            WHERE true\n",
        ),
    ),
    (_FIRST_TRY_TESTS, _CONCURRENCY),
)

HOST_NOT_COMPARED = Mutant(
    "an alert bears the name of a host as it was remembered",
    (
        Edit(
            _COMPARISON,
            "\n              AND hosts.name IS NOT DISTINCT FROM wanted.name"
            "\n              AND hosts.labels IS NOT DISTINCT FROM wanted.labels::jsonb",
            "",
        ),
    ),
    (_FIRST_TRY_TESTS,),
)

COMPARED_WITHOUT_LOCK = Mutant(
    "a key is compared, but not locked, before it is written",
    (Edit(_COMPARISON, "            FOR UPDATE OF stored\n", ""),),
    (_FIRST_TRY_TESTS, _CONCURRENCY),
)

MEMORY_TRUSTED = Mutant(
    "what changes nothing is answered from memory, and the database is not asked",
    (
        Edit(
            _FIRST_TRY,
            "        held = await write_if(connection, condition, call)\n",
            "        held = call is None or await write_if(connection, condition, call)\n",
        ),
    ),
    (_FIRST_TRY_TESTS,),
)

MEMORY_KEPT = Mutant(
    "what was remembered is kept although nobody knows what was written",
    (
        Edit(
            _FIRST_TRY,
            "                self._memory.forget(reports.keys)\n",
            "                pass\n",
        ),
    ),
    (_FIRST_TRY_TESTS,),
)

TIMED_BEFORE_READ = Mutant(
    "the time of what is recorded is taken before what it follows is read",
    (
        Edit(
            _FIRST_TRY,
            "    basis = await _read(connection, reports.keys, known)\n",
            "    now = parts.clock.now()\n"
            "    basis = await _read(connection, reports.keys, known)\n",
        ),
        Edit(
            _FIRST_TRY,
            "    now = parts.clock.now()\n    book",
            "    book",
        ),
    ),
    (_FIRST_TRY_TESTS,),
)

LEDGER = (
    SIDE_EFFECT_IN_THE_HANDLER,
    WRITTEN_BY_THE_CALL,
    LIST_BEFORE_UPDATE,
    NO_LOCK,
    DEDUP_KEY_DROPPED,
    TIE_GOES_TO_SUCCESS,
    LATE_FAILURE_REOPENS,
    CLEAR_FORGOTTEN,
    ANSWERS_FORGOTTEN,
    RACED_ANSWERS_OVERWRITTEN,
    TOLD_BEFORE_COMMIT,
    RAISED_AT_THE_SWEEP,
    AUDIT_DROPPED,
    ROLE_NOT_ASKED,
    EXPIRED_TOKEN_COUNTS,
    SAID_IS_PROVEN,
    VERSION_NOT_COMPARED,
    HOST_NOT_COMPARED,
    COMPARED_WITHOUT_LOCK,
    MEMORY_TRUSTED,
    MEMORY_KEPT,
    TIMED_BEFORE_READ,
)
