"""Secrets are read from files or standard input, never from arguments that others could see."""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path

from tocsin.cli.exits import wrong_usage

_SIGNING_SECRET_BYTES = 32


def read_secret(option: str, path: str) -> str:
    """Return the first line of a file, or of standard input for `-`; '' when no path is given."""
    secrets = read_secrets(option, path)
    if len(secrets) > 1:
        source = "standard input" if path == "-" else path
        raise wrong_usage(f"{option}: {source} must hold the secret on one line, and nothing else")
    return secrets[0] if secrets else ""


def read_secrets(option: str, path: str) -> list[str]:
    """Return the lines of a file, or of standard input for `-`; none when no path is given."""
    if not path:
        return []
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise wrong_usage(f"{option}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise wrong_usage(f"{option}: {path} is no text file") from None
    found = [line.strip() for line in text.strip().split("\n")]
    if not all(found):
        source = "standard input" if path == "-" else path
        raise wrong_usage(f"{option}: {source} must hold the secret on one line, and nothing else")
    return found


def new_signing_secret() -> str:
    """Return a new secret for webhooks, in the form of Standard Webhooks."""
    key = base64.b64encode(secrets.token_bytes(_SIGNING_SECRET_BYTES)).decode("ascii")
    return f"whsec_{key}"
