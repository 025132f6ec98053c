"""Universal Binary JSON: whether a document is whole, for programs that trust what they read.

Nothing is kept of the values. Arrays of numbers are stepped over at once, so a gigabyte takes no longer than its
members by name.
"""

from __future__ import annotations

import struct

from clary.toolkit.errors import DataError

_SIZES = {b"Z": 0, b"N": 0, b"T": 0, b"F": 0, b"i": 1, b"U": 1, b"C": 1, b"I": 2, b"l": 4, b"d": 4, b"L": 8, b"D": 8}
_LENGTHS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
_DEEPEST = 100


def check(content: bytes, *, source: str = "") -> None:
    """Return where the content is one whole document; DataError says at which byte it is not."""
    reader = _Reader(content, source)
    reader.value(reader.take(1))
    if reader.position != len(content):
        raise reader.error("something follows the document")


class _Reader:
    def __init__(self, content: bytes, source: str) -> None:
        self._content, self._source = content, source
        self._depth = 0
        self.position = 0

    def error(self, reason: str) -> DataError:
        """A DataError that names the place."""
        return DataError(f"not whole UBJSON: {reason} at byte {self.position}", source=self._source)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self.skip(count)
        return self._content[self.position - count : self.position]

    def skip(self, count: int) -> None:
        """Step over the next bytes."""
        if count < 0 or count > len(self._content) - self.position:
            raise self.error("the content ends early")
        self.position += count

    def value(self, kind: bytes) -> None:
        """Step over the value of that kind, whose marker has been read."""
        size = _SIZES.get(kind)
        if size is not None:
            self.skip(size)
        elif kind in (b"S", b"H"):
            self.skip(self._length(self.take(1)))
        elif kind in (b"[", b"{"):
            self._container(named=kind == b"{")
        else:
            raise self.error(f"{kind!r} is no kind of value")

    def _length(self, kind: bytes) -> int:
        form = _LENGTHS.get(kind)
        if form is None:
            raise self.error(f"{kind!r} is no kind of length")
        length: int = struct.unpack(form, self.take(_SIZES[kind]))[0]
        return length

    def _container(self, *, named: bool) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.error(f"values lie more than {_DEEPEST} deep")
        kind = count = None
        marker = self.take(1)
        if marker == b"$":
            kind, marker = self.take(1), self.take(1)
            if marker != b"#":
                raise self.error("a kind without a count")
        if marker == b"#":
            count = self._length(self.take(1))
            self._members(count, kind, named=named)
        else:
            self._open_members(marker, named=named)
        self._depth -= 1

    def _members(self, count: int, kind: bytes | None, *, named: bool) -> None:
        if kind in _SIZES and not named:
            self.skip(count * _SIZES[kind])
            return
        if not 0 <= count <= len(self._content):
            raise self.error("the content ends early")
        for _ in range(count):
            if named:
                self.skip(self._length(self.take(1)))
            self.value(kind or self.take(1))

    def _open_members(self, marker: bytes, *, named: bool) -> None:
        end = b"}" if named else b"]"
        while marker != end:
            if named:
                self.skip(self._length(marker))
                marker = self.take(1)
            self.value(marker)
            marker = self.take(1)
