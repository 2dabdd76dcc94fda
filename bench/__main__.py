"""`python bench`: measure Tocsin on this machine, beside what limits it."""

from __future__ import annotations

import sys
from pathlib import Path


def _run() -> int:
    # `python bench` puts the folder itself on the path; the package lies in its parent.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.program import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
