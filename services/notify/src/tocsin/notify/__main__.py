"""`python -m tocsin.notify`: the command `tocsin-notify`."""

from __future__ import annotations

from tocsin.notify.cli import main

if __name__ == "__main__":
    main()
