"""The class of cause, from exit codes and from texts as restic and its backends write them."""

from __future__ import annotations

import pytest

from tocsin.alert.engine.causes import cause_of, is_source_missing, telling_line

ASKED = "Is there a repository at the following location?"
LOCKED_TEXT = (
    "unable to create lock in backend: repository is already locked by PID 14561 on vm by root "
    "(UID 0, GID 0)\nlock was created at 2026-03-01 03:18:46 (2.97s ago)\nstorage ID c1c30954\n"
    "the `unlock` command can be used to remove stale locks"
)


@pytest.mark.parametrize(
    ("exit_code", "cause"),
    [
        (10, "no_repository"),
        (11, "locked"),
        (12, "wrong_password"),
        (130, "interrupted"),
        (137, "interrupted"),
        (143, "interrupted"),
        (-15, "interrupted"),
        (1, "other"),
        (2, "other"),
        (255, "other"),
        (None, "other"),
    ],
)
def test_an_exit_code_that_means_one_thing_is_enough(exit_code: int | None, cause: str) -> None:
    assert cause == cause_of(exit_code, "")


def test_an_exit_code_that_means_one_thing_counts_more_than_the_text() -> None:
    assert "locked" == cause_of(11, "Fatal: dial tcp 192.0.2.1:443: i/o timeout")


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ("locked", LOCKED_TEXT),
        ("locked", LOCKED_TEXT.replace("locked by", "locked exclusively by")),
        ("locked", "Fatal: unable to create lock in backend: load <lock/0951>: invalid data"),
        ("wrong_password", "Fatal: wrong password or no key found"),
        (
            "no_repository",
            (
                "Fatal: unable to open config file: stat /srv/r/config: no such file or "
                f"directory\n{ASKED}\n/srv/r"
            ),
        ),
        (
            "no_repository",
            (
                "Fatal: repository does not exist: unable to open config file: stat /srv/r/config: "
                f"no such file or directory\n{ASKED}\n/srv/r"
            ),
        ),
        (
            "no_repository",
            f"Fatal: unable to open config file: <config/> does not exist\n{ASKED}\nrest:http://b/",
        ),
        (
            "no_repository",
            (
                "Fatal: unable to open config file: Stat: The specified bucket does not exist.\n"
                f"{ASKED}\ns3:https://s3.example/b"
            ),
        ),
        (
            "network",
            (
                'Fatal: unable to open config file: client.Head: Head "http://127.0.0.1:1/config": '
                f"dial tcp 127.0.0.1:1: connect: connection refused\n{ASKED}\nrest:http://127.0.0.1:1/"
            ),
        ),
        (
            "network",
            (
                'Fatal: unable to open config file: client.Head: Head "http://b.invalid/config": '
                f"dial tcp: lookup b.invalid on 192.0.2.53:53: no such host\n{ASKED}"
            ),
        ),
        (
            "network",
            (
                "subprocess ssh: ssh: connect to host 127.0.0.1 port 22: Connection refused\n"
                "Fatal: unable to open repository at sftp:u@127.0.0.1:/x: unable to start the sftp "
                "session, error: EOF"
            ),
        ),
        (
            "network",
            (
                "Fatal: unable to open config file: unexpected HTTP response (503): 503 Service "
                f"Unavailable\n{ASKED}"
            ),
        ),
        ("network", 'Fatal: unable to open config file: Head "https://b/config": EOF'),
        (
            "network",
            (
                "Fatal: unable to save snapshot: Save(<data/1>): server response unexpected: "
                "502 Bad Gateway (502)"
            ),
        ),
        ("network", 'Fatal: Get "https://b/": tls: failed to verify certificate: x509: expired'),
        ("network", "Fatal: unable to create lock in backend: context deadline exceeded"),
        ("network", "Fatal: read tcp 192.0.2.7:5->192.0.2.1:443: connection reset by peer"),
        ("out_of_space", "Fatal: write /srv/r/data/tmp-1: no space left on device"),
        ("out_of_space", "Fatal: unable to save snapshot: write /srv/r: disk quota exceeded"),
        (
            "out_of_space",
            (
                "Save(<lock/1b>) returned error, retrying after 475ms: b2_get_upload_url: 403: "
                "Cannot upload files, storage cap exceeded."
            ),
        ),
        (
            "out_of_space",
            (
                "Fatal: unable to create lock in backend: server response unexpected: "
                "507 Insufficient Storage (507)"
            ),
        ),
        (
            "source_missing",
            (
                "/mnt/photos does not exist, skipping\n"
                "Fatal: all target directories/files do not exist"
            ),
        ),
        ("source_missing", "Fatal: all source directories/files do not exist"),
        (
            "source_missing",
            (
                "error: lstat /mnt/photos: no such file or directory\n"
                "Fatal: unable to save snapshot: snapshot is empty"
            ),
        ),
        (
            "interrupted",
            (
                "signal terminated received, cleaning up\n"
                "Fatal: unable to save snapshot: snapshot is empty"
            ),
        ),
        ("interrupted", "Fatal: unable to save snapshot: context canceled"),
        (
            "other",
            f"Fatal: unable to open config file: Stat: Access Denied.\n{ASKED}\ns3:https://b",
        ),
        ("other", f"Fatal: unable to open config file: stat /r/config: permission denied\n{ASKED}"),
        ("other", f"Fatal: unable to open config file: Stat: 401 \n{ASKED}\ns3:https://b"),
        ("other", "Fatal: /etc/restic/password does not exist"),
        ("other", "open excludes.txt: no such file or directory"),
        ("other", "Fatal: repository contains errors"),
    ],
)
def test_where_the_exit_code_is_1_the_text_decides(cause: str, text: str) -> None:
    assert cause == cause_of(1, text)


def test_case_does_not_matter() -> None:
    assert "wrong_password" == cause_of(1, "FATAL: Wrong Password or No Key Found")


def test_what_is_fatal_counts_more_than_errors_that_were_overcome() -> None:
    text = (
        "Save(<data/1>) returned error, retrying after 1s: 507 Insufficient Storage\n"
        'Fatal: unable to save snapshot: Post "https://b/data/": dial tcp: i/o timeout'
    )

    assert "network" == cause_of(1, text)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (True, "/mnt/photos does not exist, skipping"),
        (True, "Fatal: all source directories/files do not exist"),
        (False, "error: lstat /mnt/photos/tmp-1: no such file or directory"),
        (False, ""),
    ],
)
def test_a_file_that_vanished_is_not_a_missing_source(missing: bool, text: str) -> None:
    assert missing == is_source_missing(text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Fatal: b", "Fatal: a\nnoise\n  Fatal: b \nmore noise"),
        (LOCKED_TEXT.splitlines()[0], f"opening\n{LOCKED_TEXT}"),
        ("last", "first\nlast\n\n  \n"),
        ("", " \n"),
    ],
    ids=["fatal", "tells the cause", "the last", "nothing"],
)
def test_one_line_tells_most(line: str, text: str) -> None:
    assert line == telling_line(text)
