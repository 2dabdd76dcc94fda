"""`python -m tocsin.alert`: the command `tocsin-alert`."""

from __future__ import annotations

from tocsin.alert.cli import main

if __name__ == "__main__":
    main()
