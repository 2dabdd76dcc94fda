"""The commands: measure, show, compare, and keep for the page."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import h2load, parts
from bench.comparison import comparison_of
from bench.figures import ReportError, read_report
from bench.ground import ROOT
from bench.load import LoadError
from bench.page import PageError, keep
from bench.peers.rows import has_peers, peers_table
from bench.rows import judge
from bench.table import facts_of, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Report

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
        elif wanted.command == "page":
            keep(ROOT / "docs", wanted.file)
        else:
            return _measure(wanted)
    except (LoadError, PageError, ReportError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure this machine and print the table")
    _add_run_options(run)
    run.add_argument("--long", action="store_true", help="also what takes minutes by itself")
    run.add_argument("--only", nargs="+", choices=[*parts.ORDINARY, *parts.LONG], help="only these")
    peers = commands.add_parser("peers", help="measure other programs beside Tocsin")
    _add_run_options(peers)
    peers.add_argument("--only", nargs="+", choices=parts.PEERS, help="only these")
    show = commands.add_parser("show", help="print the table of a file")
    show.add_argument("file", type=Path)
    compare = commands.add_parser("compare", help="compare two files")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    page = commands.add_parser("page", help="keep a file in docs/, and write docs/performance.md")
    page.add_argument("file", type=Path)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="short loads, to see that all works")
    parser.add_argument("--seconds", type=_seconds, default=5, help="how long each load lasts (5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument(
        "--beside",
        type=Path,
        help="a file with the figures that this run does not measure; for peers, Tocsin's own, "
        "which are measured too without it",
    )
    parser.add_argument("--note", default="", help="what to know about this run, for its table")
    parser.add_argument(
        "--folder", type=Path, help="where the database lies meanwhile: on a real disk"
    )
    parser.add_argument(
        "--generator",
        choices=("h2load", "raw"),
        default="h2load" if h2load.is_installed() else "raw",
        help="what makes the unary loads: h2load where it is installed, else raw HTTP/2",
    )


def _seconds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"write a whole number from 1 to {_LONGEST_SECONDS}")
    return int(text)


def _require_ground(wanted: argparse.Namespace) -> None:
    """Refuse at once what would fail only after minutes. Raises LoadError."""
    if not Path("/proc/self/stat").exists():
        raise LoadError("This needs Linux: memory and time of processes are read from /proc.")
    for folder in (wanted.folder, wanted.json and wanted.json.absolute().parent):
        if folder is not None and not folder.is_dir():
            raise LoadError(f"{folder} is no folder.")


def _measure(wanted: argparse.Namespace) -> int:
    _require_ground(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop in order, as for Ctrl-C
    how = parts.How(
        seconds=_QUICK_SECONDS if wanted.quick else wanted.seconds,
        scale=_QUICK_SCALE if wanted.quick else 1,
        generator=wanted.generator,
        folder=wanted.folder,
        json=wanted.json,
        note=wanted.note,
    )
    beside = read_report(wanted.beside) if wanted.beside else None
    if wanted.command == "peers":
        report = parts.run_peers(how, wanted.only or list(parts.PEERS), beside)
    else:
        chosen = [*parts.ORDINARY, *(parts.LONG if wanted.long else ())]
        report = parts.run(how, wanted.only or chosen, beside)
    print(_shown(report))
    return 1 if parts.FAILED in report.run else 0


def _shown(report: Report) -> str:
    table = peers_table(report) if has_peers(report) else table_of(judge(report))
    return "\n".join([*facts_of(report), "", table])
