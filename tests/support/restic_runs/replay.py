"""Does what a recorded run of restic did: `replay.py FILE NAME`.

It says what was said and exits as it did; the interrupted run waits for SIGINT in between.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path


def main(file: str, name: str) -> int:
    run = json.loads(Path(file).read_text())["runs"][name]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.stdout.write("".join(f"{line}\n" for line in run["stdout"]))
    sys.stdout.flush()
    if name == "interrupted":
        signal.sigwait({signal.SIGINT})
    sys.stderr.write("".join(f"{line}\n" for line in run["stderr"]))
    return int(run["exit_code"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
