"""Imported by the services' commands before anything else: keeps out what they never use.

structlog loads rich wherever it is installed, for tracebacks in colour that no service prints:
5 MiB and 50 ms of each process.
"""

from __future__ import annotations

import sys

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # None means "there is none": https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
