"""The `tocsin` command against both services, running: what people and scripts get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.postgres

REFUSED, USAGE, UNREACHABLE = 1, 2, 3


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    """A host of each test's own: they share the services."""
    return f"host-of-{request.node.name}"


@pytest.fixture
def channel(tocsin: Command, request: pytest.FixtureRequest) -> Iterator[str]:
    """A disabled webhook channel."""
    name = f"channel of {request.node.name}"
    url = "https://hooks.example.org/a"
    tocsin.done("channel", "create", "webhook", name, "--url", url, "--disabled")
    yield name
    tocsin("channel", "delete", name, "--yes")


def test_raise_reports_a_failure_and_says_what_became_of_it(tocsin: Command, host: str) -> None:
    raised = tocsin.done("raise", host, "backup_failed", "-k", "photos", "-m", "no source")
    touched = tocsin.done("raise", host, "backup_failed", "-k", "photos")
    assert raised.startswith(f"Raised {host} backup_failed photos (")
    assert touched.startswith("Touched, seen before:")
    assert touched.endswith("x2\n")


def test_raise_sends_all_that_was_given(tocsin: Command, host: str) -> None:
    moment = "2026-01-31T03:15:00Z"
    answer = tocsin.json(
        *("raise", host, "check_failed", "--dedup-key", "repo", "--severity", "CRITICAL"),
        *("--message", "pack damaged", "--cause", "damaged", "--observe-time", moment),
        *("--label", "rack=3", "--label", "note=a=b", "--request-id", f"id of {host}"),
    )
    assert answer["outcome"] == "RAISE_OUTCOME_RAISED"
    assert answer["replayed"] is False
    alert = answer["alert"]
    assert alert["severity"] == "SEVERITY_CRITICAL"
    assert (moment, "damaged") == (alert["raise_time"], alert["cause"])
    assert {"rack": "3", "note": "a=b"} == alert["labels"]


def test_the_same_request_id_changes_nothing(tocsin: Command, host: str) -> None:
    words = ("raise", host, "backup_failed", "--request-id", f"id of {host}")
    tocsin.done(*words)
    assert tocsin.json(*words)["replayed"] is True


def test_clear_resolves_and_says_when_there_was_nothing(tocsin: Command, host: str) -> None:
    tocsin.done("raise", host, "backup_failed")
    assert tocsin.done("clear", host, "backup_failed").startswith(f"Resolved {host} backup_failed")
    assert tocsin.done("clear", host, "backup_failed").startswith("Nothing was wrong")


def test_a_late_report_says_that_nothing_changed(tocsin: Command, host: str) -> None:
    tocsin.done("clear", host, "backup_failed", "--observe-time", "2026-01-31T03:00:00Z")
    late = tocsin.done("raise", host, "backup_failed", "--observe-time", "2026-01-31T02:00:00Z")
    assert late.startswith("Nothing changed: this failure was observed before")
    tocsin.done("raise", host, "backup_failed", "--observe-time", "2026-01-31T04:00:00Z")
    late = tocsin.done("clear", host, "backup_failed", "--observe-time", "2026-01-31T03:30:00Z")
    assert late.startswith("Nothing changed: a failure was observed")


def test_ack_takes_the_end_of_an_id_and_acts_for_who_is_logged_in(
    tocsin: Command, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    told = tocsin.done("ack", identity[-6:], "--note", "on it", "--for", "4h")
    assert "(in 4h)" in told
    assert tocsin.done("ack", identity).startswith("Acknowledged already")
    event = tocsin.json("show", identity)["events"][-1]
    assert ("ann", "on it") == (event["on_behalf_of"], event["note"])


def test_ack_of_a_resolved_alert_is_refused(tocsin: Command, host: str) -> None:
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    tocsin.done("resolve", identity, "--on-behalf-of", "bob")
    assert tocsin.json("resolve", identity)["changed"] is False
    ended = tocsin("ack", identity)
    assert REFUSED == ended.code
    assert "ALERT_RESOLVED" in ended.err
    assert tocsin.json("show", identity)["events"][-1]["on_behalf_of"] == "bob"


def test_the_beginning_of_the_id_that_is_shown_names_an_alert(tocsin: Command, host: str) -> None:
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    assert tocsin.json("show", identity[-8:-2])["alert"]["alert_id"] == identity


def test_an_ambiguous_id_lists_the_candidates(tocsin: Command, host: str) -> None:
    ids = [
        tocsin.json("raise", host, "backup_failed", "-k", key)["alert"]["alert_id"] for key in "ab"
    ]
    ended = tocsin("ack", ids[0][:4])  # the first characters are those of the day
    assert REFUSED == ended.code
    assert all(identity in ended.err for identity in ids)


def test_list_shows_what_is_not_resolved_and_with_all_the_rest(tocsin: Command, host: str) -> None:
    for key, severity in (("a", "info"), ("b", "critical")):
        tocsin.done("raise", host, "backup_failed", "-k", key, "-s", severity)
    tocsin.done("clear", host, "backup_failed", "-k", "a")

    def keys(*filters: str) -> list[str]:
        listed = tocsin.json("list", "--host", host, *filters)["alerts"]
        return [alert["dedup_key"] for alert in listed]

    assert ["b"] == keys()
    assert ["b", "a"] == keys("--all")
    assert ["a"] == keys("--status", "resolved")
    assert ["b"] == keys("--all", "--min-severity", "warning")
    assert [] == keys("--kind", "prune_failed")
    assert ["b"] == keys("--all", "--limit", "1")
    told = tocsin.done("list", "--host", host)
    assert told.startswith("ID        SEVERITY  STATUS")
    assert "CRITICAL" in told.splitlines()[1]


def test_list_says_when_there_is_more(tocsin: Command, host: str) -> None:
    for key in "ab":
        tocsin.done("raise", host, "backup_failed", "-k", key)
    ended = tocsin("list", "--host", host, "--limit", "1")
    assert (0, 2) == (ended.code, len(ended.out.splitlines()))
    assert "--limit" in ended.err


def test_show_tells_the_alert_its_timeline_and_its_deliveries(tocsin: Command, host: str) -> None:
    name = f"console of {host}"
    tocsin.done("channel", "create", "console", name)
    identity = tocsin.json("raise", host, "backup_failed", "-m", "no\nsource")["alert"]["alert_id"]
    tocsin.done("resolve", identity, "--note", "moved away")
    told = tocsin.done("show", identity)
    assert "message    no\n             source" in told
    assert "raised warning" in told
    assert "resolved manual" in told
    assert "moved away" in told
    document = tocsin.json("show", identity)
    assert ["alert", "events", "deliveries"] == list(document)
    assert len(document["events"]) == 2
    tocsin.done("channel", "delete", name, "--yes")


def test_show_without_notify_shows_the_alert_and_ends_with_3(tocsin: Command, host: str) -> None:
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    ended = Command(alert=tocsin.alert, timeout="2")("show", identity)
    assert UNREACHABLE == ended.code
    assert identity in ended.out
    assert "The deliveries are not shown" in ended.err


def test_a_bad_field_is_named_as_it_is_written(tocsin: Command, host: str) -> None:
    for words, named in (
        (("raise", host, "Backup Failed"), "KIND:"),
        (("raise", "h" * 257, "backup_failed"), "HOST:"),
        (("raise", host, "backup_failed", "-k", "k" * 257), "--dedup-key:"),
        (("raise", host, "backup_failed", "-k", "\0"), "--dedup-key:"),
        (("raise", host, "backup_failed", "-l", f"{'n' * 65}=v"), "--label"),
        (("channel", "create", "webhook", "x", "--url", "ftp://a"), "--url:"),
    ):
        ended = tocsin(*words)
        assert (USAGE, named) == (ended.code, ended.err[: len(named)])


def test_what_does_not_exist_ends_with_1(tocsin: Command) -> None:
    nobody = "01234567-89ab-7cde-8f01-23456789abcd"
    for words in (
        ("show", nobody),
        ("ack", nobody),
        ("resolve", "fffffff0"),
        ("host", "show", "nobody"),
        ("channel", "show", nobody),
        ("channel", "show", "nobody"),
        ("delivery", "show", nobody),
        ("delivery", "show", "fffffff0"),
    ):
        ended = tocsin(*words)
        assert (REFUSED, "") == (ended.code, ended.out)
        assert ended.err.count("\n") == 1


def test_a_host_is_put_listed_and_shown(tocsin: Command, host: str) -> None:
    tocsin.done("host", "put", host, "--name", "Web server", "--label", "rack=3")
    assert "Web server" in tocsin.done("host", "list")
    shown = tocsin.json("host", "show", host)["host"]
    assert ("Web server", {"rack": "3"}) == (shown["name"], shown["labels"])
    tocsin.done("raise", host, "backup_failed")
    assert "Web server" in tocsin.done("list", "--host", host)


def test_a_webhook_gets_a_secret_that_is_shown_once(tocsin: Command, host: str) -> None:
    words = ("channel", "create", "webhook", host, "--url", "https://hooks.example.org/a")
    told = tocsin.done(*words, "--disabled")
    assert "whsec_" in told
    assert "whsec_" not in tocsin.done("channel", "show", host)
    assert "whsec_" not in str(tocsin.json("channel", "list"))
    taken = tocsin(*words)
    assert (REFUSED, True) == (taken.code, "CHANNEL_NAME_TAKEN" in taken.err)
    tocsin.done("channel", "delete", host, "--yes")


def test_a_secret_is_read_from_a_file(tocsin: Command, host: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("too short\n")
    words = ("channel", "create", "webhook", host, "--url", "https://hooks.example.org/a")
    given = ("--disabled", "--secret-file", str(secret))
    assert USAGE == tocsin(*words, *given).code
    secret.write_text("whsec_" + "A" * 32 + "\n")
    assert "whsec_" not in tocsin.done(*words, *given)
    tocsin.done("channel", "delete", host, "--yes")


def test_a_new_secret_is_shown_once_and_the_former_signs_on(tocsin: Command, channel: str) -> None:
    told = tocsin.done("channel", "rotate-secret", channel)
    assert "The former secret signs too until" in told
    assert "whsec_" in told
    assert "former secret" in tocsin.done("channel", "show", channel)


def test_a_channel_is_updated_switched_and_deleted(tocsin: Command, channel: str) -> None:
    url = "https://hooks.example.org/b"
    assert url in tocsin.done("channel", "update", channel, "--url", url)
    assert "enabled" in tocsin.done("channel", "enable", channel)
    assert "disabled" in tocsin.done("channel", "disable", channel)
    assert REFUSED == tocsin("channel", "update", channel, "--smtp-host", "mail").code
    assert USAGE == tocsin("channel", "update", channel).code
    unasked = tocsin("channel", "delete", channel)
    assert (USAGE, True) == (unasked.code, "--yes" in unasked.err)
    assert tocsin.json("channel", "delete", channel, "--yes") == {"dead_deliveries": "0"}


def test_an_email_channel_is_created_with_its_parts(
    tocsin: Command, host: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    told = tocsin.done(
        *("channel", "create", "email", host, "--smtp-host", "mail.example.org"),
        *("--from", "tocsin@example.org", "--to", "a@example.org", "--to", "b@example.org"),
        *("--security", "tls", "--username", "tocsin", "--password-file", str(password)),
        "--disabled",
    )
    assert "a@example.org, b@example.org" in told
    assert "mail.example.org:465, tls" in told
    assert "tocsin with a password" in told
    assert "hunter2" not in told
    assert REFUSED == tocsin("channel", "rotate-secret", host).code
    tocsin.done("channel", "delete", host, "--yes")


def test_a_channel_is_tested_and_the_failure_ends_with_1(tocsin: Command, host: str) -> None:
    tocsin.done("channel", "create", "console", f"{host} 1", "--disabled")
    assert "was delivered" in tocsin.done("channel", "test", f"{host} 1")
    closed = "http://127.0.0.1:1/"
    tocsin.done("channel", "create", "webhook", f"{host} 2", "--url", closed, "--disabled")
    ended = tocsin("channel", "test", f"{host} 2")
    assert (REFUSED, True) == (ended.code, "was not delivered" in ended.err)
    for number in "12":
        tocsin.done("channel", "delete", f"{host} {number}", "--yes")


def test_a_delivery_is_listed_shown_and_sent_again(tocsin: Command, host: str) -> None:
    tocsin.done("channel", "create", "console", host)
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    delivery = _delivered(tocsin, identity)
    assert delivery["delivery_id"][-8:] in tocsin.done("delivery", "list", "--channel", host)
    assert "delivered" in tocsin.done("delivery", "show", delivery["delivery_id"][-8:])
    assert "waits for its turn" in tocsin.done("delivery", "redeliver", delivery["delivery_id"])
    assert _delivered(tocsin, identity, attempts=2)["event_id"] == delivery["event_id"]
    tocsin.done("channel", "delete", host, "--yes")


def test_why_says_who_was_told_of_an_alert_and_how(tocsin: Command, host: str) -> None:
    tocsin.done("channel", "create", "console", host)
    identity = tocsin.json("raise", host, "backup_failed")["alert"]["alert_id"]
    _delivered(tocsin, identity)
    told = tocsin.done("why", identity[-12:])
    assert f"{host}: alert.raised told 20" in told
    assert f"Goes to {host}: no route steers it elsewhere." in told
    assert f"{host} accepted it by itself, with attempt 1." in told
    answer = tocsin.json("why", identity, "--channel", host)
    assert ["DECISION_REASON_DEFAULT_ROUTE", "DECISION_REASON_DELIVERED"] == [
        each["reason"] for each in answer["decisions"]
    ]
    assert "has heard of no alert" in tocsin("why", "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a").err
    tocsin.done("channel", "delete", host, "--yes")


def test_what_was_given_up_is_counted_before_it_is_sent_again(tocsin: Command, host: str) -> None:
    tocsin.done("channel", "create", "console", host)
    counted = tocsin.done("delivery", "redeliver", "--since", "1h", "--channel", host, "--dry-run")
    assert counted == "0 would be sent once more.\n"
    assert "0 are sent" in tocsin.done("delivery", "redeliver", "--since", "2026-01-31T03:15:00Z")
    wrong = tocsin("delivery", "redeliver", "--since", "1h", "--reason", "routed")
    assert (USAGE, True) == (wrong.code, "--reason" in wrong.err)
    wrong = tocsin("delivery", "redeliver", "--since", "2", "--dry-run")
    assert (USAGE, True) == (wrong.code, "or 2h" in wrong.err)
    tocsin.done("channel", "delete", host, "--yes")


def _delivered(tocsin: Command, alert: str, attempts: int = 1) -> dict[str, str]:
    """Look until the delivery about an alert was delivered at the n-th attempt."""
    for _ in range(500):
        wanted = ("delivery", "list", "--alert", alert, "--state", "delivered")
        found = tocsin.json(*wanted)["deliveries"]
        if found and found[0]["attempt_count"] == attempts:
            delivery: dict[str, str] = found[0]
            return delivery
    raise AssertionError("not delivered")
