"""The lines of the documents that call grpcurl, run by it, or by `buf curl` where it is not there.

Both speak gRPC and learn the services by reflection; `buf` comes with what the tests need anyhow.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass, field
from typing import Any

from support.repository import PROGRAMS, ROOT

DEADLINE_EXCEEDED = 4
_FLAGS = {"-plaintext", "-insecure"}
_OF_GRPCURL, _OF_BUF = 64, 3
"""How they tell the status in their exit code: added to, shifted by."""


@dataclass(frozen=True, slots=True)
class Call:
    """One line: `grpcurl [options] ADDRESS METHOD`, or `… ADDRESS list [SERVICE]`."""

    address: str
    words: tuple[str, ...]
    options: dict[str, list[str]] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.words[0]

    @property
    def request(self) -> str:
        return self.options.get("-d", ["{}"])[0]

    def command(self) -> list[str]:
        """Return what is run, by grpcurl if it is there."""
        program = shutil.which("grpcurl")
        return self._for_buf() if program is None else [program, *self._for_grpcurl()]

    def status(self, exit_code: int) -> int:
        """Return the status of gRPC (0: OK) that an exit code of what was run stands for."""
        if exit_code == 0:
            return 0
        by_buf = shutil.which("grpcurl") is None
        return exit_code >> _OF_BUF if by_buf else exit_code - _OF_GRPCURL

    def _for_grpcurl(self) -> list[str]:
        given = [
            word
            for name, values in self.options.items()
            for each in values
            for word in ((name,) if name in _FLAGS else (name, each))
        ]
        return [*given, self.address, *self.words]

    def _for_buf(self) -> list[str]:
        words = [str(PROGRAMS / "buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
        for name, values in self.options.items():
            for each in values:
                words += _TRANSLATED[name](each)
        scheme = "http" if "-plaintext" in self.options else "https"
        base = f"{scheme}://{self.address}"
        if self.method == "list":
            return [*words, "--list-methods" if self.words[1:] else "--list-services", base]
        return [*words, f"{base}/{self.method}"]


_TRANSLATED: dict[str, Any] = {
    "-plaintext": lambda _: [],
    "-insecure": lambda _: ["--insecure"],
    "-d": lambda given: ["--data", given],
    "-H": lambda given: ["--header", given, "--reflect-header", given],
    "-max-time": lambda given: ["--timeout", f"{given}s"],
    "-cacert": lambda given: ["--cacert", given],
    "-cert": lambda given: ["--cert", given],
    "-key": lambda given: ["--key", given],
    "-import-path": lambda given: ["--schema", str(ROOT / given)],
    "-proto": lambda _: [],
}


def parse(line: str) -> Call:
    """Read a line as the shell would. Raises ValueError for an option that is not known here."""
    program, *words = shlex.split(line)
    if program != "grpcurl":
        raise ValueError(f"not a line of grpcurl: {line}")
    options: dict[str, list[str]] = {}
    while words and words[0].startswith("-"):
        name = words.pop(0)
        if name not in _TRANSLATED:
            raise ValueError(f"{name}: not an option that the tests can translate: {line}")
        options.setdefault(name, []).append("" if name in _FLAGS else words.pop(0))
    address, *rest = words
    return Call(address, tuple(rest), options)


def documents(text: str) -> list[Any]:
    """Return the JSON documents that stand one after the other in a text."""
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        found.append(document)
        text = text.lstrip()[end:]
    return found
