"""A copy of the project as a stranger would clone it, ready as `make setup` leaves it.

Its virtual environment borrows the packages of the one that the tests run in, so that nothing is
downloaded, and has Tocsin itself from the copy.
"""

from __future__ import annotations

import shutil
import sysconfig
import venv
from typing import TYPE_CHECKING

from support.repository import PROGRAMS, ROOT, committed_or_to_be

if TYPE_CHECKING:
    from pathlib import Path

_DISTRIBUTIONS = ("libs/common", "libs/client", "services/alert", "services/notify")
_PROGRAMS = ("tocsin", "tocsin-alert", "tocsin-notify")


def fresh_copy(folder: Path) -> Path:
    """Copy the project, as committed and changed since, into a new folder. Returns that folder."""
    for path in committed_or_to_be():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    _set_up(folder)
    return folder


def _set_up(folder: Path) -> None:
    place = folder / ".venv"
    venv.create(place, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    own = [str(folder / each / "src") for each in _DISTRIBUTIONS]
    # Before the borrowed ones: `.pth` files in there, which name the project itself, are not read.
    lines = [*own, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "tocsin.pth").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    for name in _PROGRAMS:
        _, _, script = (PROGRAMS / name).read_text().partition("\n")
        (place / "bin" / name).write_text(f"#!{place}/bin/python\n{script}")
        (place / "bin" / name).chmod(0o755)
    (place / ".run").write_text(str(folder))
