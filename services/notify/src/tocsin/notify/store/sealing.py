"""Secrets sealed at rest: AES-256-GCM, bound to the channel that they belong to.

A sealed value is: version (1 byte, 1), key id (4 bytes), nonce (12 bytes), ciphertext and tag.
The channel id is associated data: a value copied to another channel's row does not open.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from tocsin.notify.domain.channel import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES


class SecretsUnreadableError(Exception):
    """A channel's secrets cannot be opened with the key that the service has."""

    def __init__(self) -> None:
        super().__init__(
            "The channel cannot be used: its secrets cannot be opened; was the key changed? Start"
            " the service with the former TOCSIN_NOTIFY_SECRET_KEY, or set the secrets again."
        )


class Sealing:
    """Seals and opens secrets with one key of 32 bytes. Raises ValueError for any other length."""

    def __init__(self, key: bytes, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"holds {len(key)} bytes; it must hold {KEY_BYTES}")
        self._key = key
        self._head = _VERSION + hashlib.sha256(b"tocsin key id" + key).digest()[:_KEY_ID_BYTES]
        self._random_bytes = random_bytes

    @cached_property
    def _cipher(self) -> AESGCM:
        # 6 MiB, which a service without secrets does not load.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def seal(self, channel_id: UUID, secrets: Secrets) -> bytes | None:
        """Return the sealed secrets of a channel, None when it has none."""
        filled = {name: text for name, text in asdict(secrets).items() if text}
        if not filled:
            return None
        nonce = self._random_bytes(_NONCE_BYTES)
        plaintext = json.dumps(filled).encode()
        sealed: bytes = self._cipher.encrypt(nonce, plaintext, channel_id.bytes)
        return self._head + nonce + sealed

    def open(self, channel_id: UUID, sealed: bytes | None) -> Secrets:
        """Return the secrets of a channel.

        Raises SecretsUnreadableError: sealed with another key, for another channel, or damaged.
        """
        if sealed is None:
            return Secrets()
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        if head != self._head:
            raise SecretsUnreadableError
        from cryptography.exceptions import InvalidTag

        try:
            plaintext = self._cipher.decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], channel_id.bytes
            )
        except (InvalidTag, ValueError):  # ValueError: cut short
            raise SecretsUnreadableError from None
        return Secrets(**json.loads(plaintext))
