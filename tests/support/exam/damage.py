"""Request bodies that are legal in no type, or never in one of them, whatever the algorithm takes."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from exam.material import named

ANYWHERE = (
    b"\x00\xff\x00\xff",
    b"{",
    b'{"instances": 7}',
    b"a,b,c\n",
    b"\n",
    b"\x0a\x23\xd7\xce\xff\xff\xff\x1f",  # the head of a RecordIO frame of half a gigabyte
)
# In LIBSVM a cut line is often another legal one; these are none, each for a reason of its own.
IN_LIBSVM = (
    b"1:2:3 x:y\n",
    b"x:y\n",
    b"0:\n",
    b":1\n",
    b"-1:2\n",
    b"0.5:2 1:1\n1:1:1\n",
    b"1 0:1 2\n",
    b"1 0:1,1:2\n",
    b"1 0:1 0:2\n",
    b"1 0:1 4294967296:1\n",
    b"1 0:inf\n",
    b"1 0:1e999\n",
    b"1 0:one\n",
)
IN_CSV = (b"1,2\n1,2,3\n", b"1;2\n3;x\n", b"inf,1\n", b"1,1e999\n", b'"1,2\n')
NEVER = {media.CSV: IN_CSV, media.LIBSVM: IN_LIBSVM}


def bodies(content_type: str, whole: bytes) -> Iterator[bytes]:
    """Bodies that must be refused as requests of that type; ``whole`` is a legal one of several records."""
    name = named(content_type)
    yield from ANYWHERE
    yield from NEVER.get(name, ())
    yield b"\xff" + whole
    yield _cut(name, whole)


def _cut(name: str, whole: bytes) -> bytes:
    """The body up to a place behind which something must come; in some types a number could end anywhere."""
    if name == media.CSV:
        last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
        return whole[: whole.index(b",", last)]
    if name == media.LIBSVM:
        return whole[: whole.rindex(b":") + 1]
    return whole[: len(whole) // 2 + 1]
