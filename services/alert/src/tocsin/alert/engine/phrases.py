"""What restic and its backends say when they fail, by class of cause.

Taken from restic 0.14 to 0.18, in lower case. A pair is found when one line has both.
"""

from __future__ import annotations

from typing import TypeAlias

LOCKED = "locked"
WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a class of cause
NO_REPOSITORY = "no_repository"
NETWORK = "network"
OUT_OF_SPACE = "out_of_space"
SOURCE_MISSING = "source_missing"
INTERRUPTED = "interrupted"
OTHER = "other"

Phrase: TypeAlias = str | tuple[str, str]

# A whole source was not there.
SKIPPED = (
    "does not exist, skipping",
    "all target directories/files do not exist",
    "all source directories/files do not exist",
)
# By class of cause, and in this order: the first that is found decides.
# Of a repository that cannot be reached, restic asks too whether it is there; of one that is full
# or away it also says that it cannot be locked.
PHRASES: tuple[tuple[str, tuple[Phrase, ...]], ...] = (
    (INTERRUPTED, ("received, cleaning up",)),
    (LOCKED, ("repository is already locked", "repo already locked")),
    (WRONG_PASSWORD, ("wrong password or no key found",)),
    (
        OUT_OF_SPACE,
        (
            "no space left",
            "not enough space",
            "disk full",
            "quota exceeded",
            "quotaexceeded",
            "storage cap exceeded",
            "insufficient storage",
            "insufficientstorage",
            "maximum repository size exceeded",
        ),
    ),
    (
        NETWORK,
        (
            "dial tcp",
            "no such host",
            "could not resolve",
            "name resolution",
            "no route to host",
            "network is unreachable",
            "network is down",
            "host is down",
            "broken pipe",
            "connection refused",
            "connection reset",
            "connection timed out",
            "connection closed by",
            "operation timed out",
            "i/o timeout",
            "handshake timeout",
            "timeout awaiting",
            "timeout exceeded",
            "context deadline exceeded",
            "tls: ",
            "x509: ",
            '": eof',
            "unexpected http response (5",
            "response unexpected: 5",
            "status code: 5",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
        ),
    ),
    # A repository that this host may not look into may well be there, and open to others.
    (
        OTHER,
        (
            "access denied",
            "accessdenied",
            "permission denied",
            "forbidden",
            "unauthorized",
            "stat: 401",
            "stat: 403",
        ),
    ),
    (
        NO_REPOSITORY,
        (
            "repository does not exist",
            "is there a repository at the following location",
            ("unable to open config file: ", "no such file"),
            ("unable to open config file: ", "not exist"),
            ("unable to open config file: ", "cannot find"),
            "the specified bucket does not exist",
        ),
    ),
    (
        SOURCE_MISSING,
        (*SKIPPED, ("lstat ", "no such file"), ("lstat ", "cannot find")),
    ),
    (INTERRUPTED, ("context canceled",)),
    (LOCKED, ("unable to create lock",)),
)
