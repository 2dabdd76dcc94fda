"""Runs a module that must not outlive its parent: `python -m tocsin.cli.stack.tether MODULE …`.

The parent holds the write end of this process's standard input and writes nothing. When the
parent ends, even by SIGKILL, the kernel closes that end, the read below returns, and the module
is asked to stop. This needs no help from the module and works on every Unix.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_GRACE_SECONDS = 15.0


def _follow_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    """Run the named module as a program, tied to the parent."""
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    threading.Thread(target=_follow_parent, name="tether", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
