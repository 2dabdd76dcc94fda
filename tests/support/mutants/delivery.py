"""Faults of tocsin-notify."""

from __future__ import annotations

from support.mutants.mutant import CLIENT, NOTIFY, Edit, Mutant, the

_SETTLE = f"{NOTIFY}/delivery/settle_statements.py"
_STATEMENTS = f"{NOTIFY}/delivery/statements.py"
_FUNCTIONS = f"{NOTIFY}/store/migrations/versions/notify0006_queue_functions.py"

_QUEUE = "tests/integration/notify/test_delivery_queue.py"
_GIVEN_BACK = "tests/integration/notify/test_given_back.py"
_INBOX_TESTS = "tests/integration/notify/test_inbox.py"

NO_FENCING = Mutant(
    "whoever has sent settles, also when the lease was given to somebody else",
    (
        Edit(
            _FUNCTIONS,
            "        WHERE d.delivery_id = given.own_id AND d.lease_token = given.token\n",
            "        WHERE d.delivery_id = given.own_id AND d.lease_token IS NOT NULL\n",
        ),
    ),
    (the(_QUEUE, "test_a_late_settle_is_refused_however_it_went"),),
)

LATE_FAILURE_UNFENCED = Mutant(
    "a failed attempt settles, also when the lease was given to somebody else",
    (
        Edit(
            _SETTLE,
            "       AND d.state = 2 AND d.lease_token = given.token\n    UNION ALL",
            "       AND d.state = 2\n    UNION ALL",
        ),
        Edit(
            _SETTLE,
            "     WHERE d.delivery_id = given.own_id AND d.lease_token = given.token"
            " AND d.state = 2\n    RETURNING given.*, d.attempt_count, d.collapsed_count",
            "     WHERE d.delivery_id = given.own_id AND d.state = 2\n"
            "    RETURNING given.*, d.attempt_count, d.collapsed_count",
        ),
    ),
    (the(_QUEUE, "test_a_late_settle_is_refused_however_it_went"),),
)

LOST_NEVER_RECLAIMED = Mutant(
    "what a lost worker held is never sent again",
    (
        Edit(
            _STATEMENTS,
            " WHERE state = 2 AND (lease_expire_time <= $1 OR lease_expire_time > $3)\n",
            " WHERE false AND (lease_expire_time <= $1 OR lease_expire_time > $3)\n",
        ),
    ),
    (the(_QUEUE, "test_what_a_lost_worker_held_goes_out_again_under_the_same_id"),),
)

LEASE_OF_NEXT_YEAR = Mutant(
    "a lease from before the clock was put back is waited for",
    (
        Edit(
            _STATEMENTS,
            "lease_expire_time <= $1 OR lease_expire_time > $3)\n",
            "lease_expire_time <= $1 OR (false AND lease_expire_time > $3))\n",
        ),
    ),
    ("tests/faults/test_clock_jumps.py",),
)

OUT_OF_TURN = Mutant(
    "news of an alert do not wait for those before them",
    (
        Edit(
            _FUNCTIONS,
            "                AND (other.state + 0 = 2 OR other.carried_by IS NOT NULL)\n",
            "                AND false\n",
        ),
    ),
    (the(_QUEUE, "test_news_of_one_alert_wait_for_each_other_and_those_of_others_do_not"), _QUEUE),
)

LEASE_WITHOUT_ATTEMPT = Mutant(
    "what a worker takes into its hands leaves no attempt behind when it is lost",
    (
        Edit(
            _FUNCTIONS,
            "    SELECT delivery_id, attempt_count, now, 0, '' FROM leased;\n",
            "    SELECT delivery_id, attempt_count, now, 0, '' FROM leased WHERE false;\n",
        ),
    ),
    (the(_GIVEN_BACK, "test_what_another_worker_has_taken_over_is_not_given_back"),),
)

INTAKE_WITHOUT_POSITION = Mutant(
    "a follower that was overtaken moves the position all the same",
    (
        Edit(
            _FUNCTIONS,
            "        WHERE epoch = before_epoch AND revision = before_revision;\n",
            "        WHERE true;\n",
        ),
    ),
    (_INBOX_TESTS,),
)

POSITION_BEFORE_DELIVERIES = Mutant(
    "the position is committed before the deliveries of its events",
    (
        Edit(
            f"{NOTIFY}/follower/intake.py",
            "        async with connection.transaction():\n            if before is None:\n",
            "        if True:\n            if before is None:\n",
        ),
    ),
    (the(_INBOX_TESTS, "test_a_batch_that_breaks_at_any_statement_leaves_nothing_behind"),),
)

ROUTES_OF_YESTERDAY = Mutant(
    "routes are read once, and not again when they have changed",
    (
        Edit(
            f"{NOTIFY}/follower/intake.py",
            "        if self._routes[0] != stamp:\n",
            "        if not self._routes[0]:\n",
        ),
    ),
    (the(_INBOX_TESTS, "test_a_change_of_the_routes_is_heeded_by_the_next_batch"),),
)

ROUTES_UNDER_AN_OLDER_STAMP = Mutant(
    "routes are kept under the stamp of a moment before they were read",
    (
        Edit(
            f"{NOTIFY}/follower/intake.py",
            "            self._routes = await routes.read_stamped(connection)\n",
            "            self._routes = stamp, (await routes.read_stamped(connection))[1]\n",
        ),
    ),
    (
        the(
            _INBOX_TESTS,
            "test_a_route_that_came_while_the_routes_were_read_is_not_heeded_once_it_is_gone",
        ),
    ),
)

SETTLED_TOLD_AS_LATE = Mutant(
    "what was settled before the database went away is told as late",
    (
        Edit(
            f"{NOTIFY}/delivery/settling.py",
            "            _tell([each for each in batch if each[0].token in held], held)\n"
            "            unwritten = [each for each in batch if each[0].token not in held]\n",
            "            unwritten = batch\n",
        ),
    ),
    (
        the(
            "tests/integration/notify/test_settling.py",
            "test_what_was_settled_before_the_database_went_away_is_told_as_settled",
        ),
    ),
)

TOKENS_LOST = Mutant(
    "what is given back has used up a token of its channel",
    (
        Edit(
            f"{NOTIFY}/delivery/settling.py",
            "    if back:\n        ids, now",
            "    if False:\n        ids, now",
        ),
    ),
    (the(_GIVEN_BACK, "test_it_gives_the_token_back_that_it_took"),),
)

TWO_FOLLOWERS = Mutant(
    "every replica follows",
    (
        Edit(
            f"{NOTIFY}/follower/leadership.py",
            '        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):\n',
            '        if not await connection.fetchval("SELECT $1::bigint > 0", _LOCK):\n',
        ),
    ),
    (
        "tests/integration/notify/test_follower.py::test_one_replica_follows_and_the_other_takes_over",
    ),
)

END_WITHOUT_BEGINNING = Mutant(
    "an end is told whose beginning never was",
    (
        Edit(
            f"{NOTIFY}/delivery/telling.py",
            "    return Send(told_as) if case.telling.maybe_told else End(",
            "    return Send(told_as) if True else End(",
        ),
    ),
    ("tests/unit/notify/test_telling_rule.py",),
)

SILENCE_HIDES_THE_END = Mutant(
    "whoever was told is not told what becomes of it under a later silence",
    (
        Edit(
            f"{NOTIFY}/delivery/telling.py",
            "    if case.telling.maybe_told:\n        return Send(case.told_as",
            "    if False:\n        return Send(case.told_as",
        ),
    ),
    ("tests/unit/notify/test_telling_rule.py",),
)

REDIRECT_IS_SUCCESS = Mutant(
    "a redirect counts as delivered",
    (
        Edit(
            f"{NOTIFY}/channels/judging.py",
            "    if 200 <= status < 300:",
            "    if 200 <= status < 400:",
        ),
    ),
    (
        the(
            "tests/integration/notify/test_webhook_channel.py",
            "test_a_redirect_is_a_failure_and_is_not_followed",
        ),
    ),
)

WEBHOOK_ID_OF_THE_ATTEMPT = Mutant(
    "each attempt of a webhook has an id of its own",
    (
        Edit(
            f"{NOTIFY}/channels/webhook.py",
            "signature_headers(signing, str(message.event_id), now, body)",
            "signature_headers(signing, __import__('uuid').uuid4().hex, now, body)",
        ),
    ),
    (
        the(
            "tests/integration/notify/test_webhook_channel.py",
            "test_a_repetition_has_the_same_id_and_body",
        ),
    ),
)

SILENT_JUMP = Mutant(
    "a subscriber whose events were compacted goes on from now, without a word",
    (
        Edit(
            f"{CLIENT}/subscription.py",
            "            self._compare_next = True\n            return\n",
            "            self._last = None\n            return\n",
        ),
    ),
    (
        the(
            "tests/integration/client/test_subscription.py",
            "test_after_compaction_the_difference_to_what_was_known_is_told",
        ),
    ),
)

DELIVERY = (
    NO_FENCING,
    LATE_FAILURE_UNFENCED,
    LOST_NEVER_RECLAIMED,
    LEASE_OF_NEXT_YEAR,
    OUT_OF_TURN,
    INTAKE_WITHOUT_POSITION,
    POSITION_BEFORE_DELIVERIES,
    LEASE_WITHOUT_ATTEMPT,
    ROUTES_OF_YESTERDAY,
    ROUTES_UNDER_AN_OLDER_STAMP,
    SETTLED_TOLD_AS_LATE,
    TOKENS_LOST,
    TWO_FOLLOWERS,
    END_WITHOUT_BEGINNING,
    SILENCE_HIDES_THE_END,
    REDIRECT_IS_SUCCESS,
    WEBHOOK_ID_OF_THE_ATTEMPT,
    SILENT_JUMP,
)
