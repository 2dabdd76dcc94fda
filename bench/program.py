"""The commands: measure, show, compare."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import h2load
from bench.alert_loads import measure_alert
from bench.comparison import comparison_of
from bench.figures import Report, ReportError, read_report, write_report
from bench.ground import Ground
from bench.limits import measure_limits
from bench.load import Clients, LoadError
from bench.machine import describe_machine, load_average
from bench.notify_loads import measure_notify
from bench.rows import judge
from bench.run import Bench
from bench.table import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = {"limits": measure_limits, "alert": measure_alert, "notify": measure_notify}
_CLIENTS = 2
_QUICK_SECONDS, _QUICK_SCALE = 2, 5
_LONGEST_SECONDS = 600


def main(words: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    wanted = _arguments().parse_args(words or ["run"])
    try:
        if wanted.command == "compare":
            print(comparison_of(read_report(wanted.before), read_report(wanted.after)))
        elif wanted.command == "show":
            print(_shown(read_report(wanted.file)))
        else:
            _measure(wanted)
    except (LoadError, ReportError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure this machine and print the table")
    run.add_argument("--quick", action="store_true", help="short loads, to see that all works")
    run.add_argument("--seconds", type=_seconds, default=5, help="how long each load lasts (5)")
    run.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts"
    )
    run.add_argument("--json", type=Path, help="write the figures to this file, too")
    run.add_argument(
        "--folder", type=Path, help="where the database lies meanwhile: on a real disk"
    )
    run.add_argument(
        "--generator",
        choices=("h2load", "raw"),
        default="h2load" if h2load.is_installed() else "raw",
        help="what makes the unary loads: h2load where it is installed, else raw HTTP/2",
    )
    show = commands.add_parser("show", help="print the table of a file")
    show.add_argument("file", type=Path)
    compare = commands.add_parser("compare", help="compare two files")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    return parser


def _require_ground(wanted: argparse.Namespace) -> None:
    """Refuse at once what would fail only after minutes. Raises LoadError."""
    if not Path("/proc/self/stat").exists():
        raise LoadError("This needs Linux: memory and time of processes are read from /proc.")
    for folder in (wanted.folder, wanted.json and wanted.json.absolute().parent):
        if folder is not None and not folder.is_dir():
            raise LoadError(f"{folder} is no folder.")


def _seconds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"write a whole number from 1 to {_LONGEST_SECONDS}")
    return int(text)


def _measure(wanted: argparse.Namespace) -> None:
    _require_ground(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop in order, as for Ctrl-C
    begin = time.monotonic()
    report = Report(
        run={
            "begun": datetime.now(UTC).isoformat(timespec="seconds"),
            "each load": f"{_QUICK_SECONDS if wanted.quick else wanted.seconds} s",
            "unary loads by": wanted.generator,
            "load average before": load_average(),
        }
    )
    with Ground(wanted.folder) as ground:
        report.machine.update(describe_machine(ground.folder))
        clients = Clients(_CLIENTS)
        bench = Bench(
            ground,
            clients,
            report,
            wanted.generator,
            seconds=_QUICK_SECONDS if wanted.quick else wanted.seconds,
            scale=_QUICK_SCALE if wanted.quick else 1,
        )
        try:
            asyncio.run(_measure_parts(bench, wanted.only))
        finally:
            clients.close()
    report.run["took"] = f"{time.monotonic() - begin:.0f} s"
    if wanted.json:
        write_report(report, wanted.json)
    print(_shown(report))


async def _measure_parts(bench: Bench, parts: Sequence[str]) -> None:
    bench.report.machine["postgresql"] = await bench.ground.describe_postgres()
    for part in parts:
        await PARTS[part](bench)


def _shown(report: Report) -> str:
    facts = [f"{name}: {fact}" for name, fact in (*report.machine.items(), *report.run.items())]
    return "\n".join([*facts, "", table_of(judge(report))])
