"""What differs between two copies of a table. Pure: numbers in, numbers out.

Both sides cut a table by key into *buckets* of 4,096 keys, each bucket into *leaves* of 8. On every level the question is the same: which
parts does the source have that the copy has not, which does only the copy have, and which do both have but not alike? A bucket is known by
its row count and the sum of its stamps, a leaf by the sum, a row by the stamp itself. A bucket that only one side has is settled at once,
so the first sync asks nothing further; a bucket that differs costs 3 KiB for its leaves, and only the leaves that differ are looked into.
With one device in a hundred changed, at random, finding them costs about as much as one row in a hundred.

Sums of 48-bit random stamps: two different leaves look alike once in 2^48 times, and what a sync has produced is compared bucket by bucket
with the source before it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

BUCKET_BITS = 12
LEAF_BITS = 3
LEAVES = 1 << (BUCKET_BITS - LEAF_BITS)
MARK_BYTES = 6
MARK_MASK = (1 << (8 * MARK_BYTES)) - 1

Mark = TypeVar("Mark")


@dataclass(frozen=True, slots=True)
class Difference(Generic[Mark]):
    """Keys that must be fetched whole, dropped whole, or looked into."""

    fetch: tuple[int, ...]
    drop: tuple[int, ...]
    differ: tuple[int, ...]

    @property
    def nothing(self) -> bool:
        return not (self.fetch or self.drop or self.differ)


def compare(mine: Mapping[int, Mark], theirs: Mapping[int, Mark]) -> Difference[Mark]:
    """What has to happen to `mine` so that it equals `theirs`."""
    return Difference(
        fetch=tuple(sorted(theirs.keys() - mine.keys())),
        drop=tuple(sorted(mine.keys() - theirs.keys())),
        differ=tuple(sorted(key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key])),
    )


def keys_of_bucket(bucket: int) -> range:
    """The row keys that a bucket covers."""
    return range(bucket << BUCKET_BITS, (bucket + 1) << BUCKET_BITS)


def keys_of_leaf(leaf: int) -> range:
    """The row keys that a leaf covers; leaves are numbered through all buckets."""
    return range(leaf << LEAF_BITS, (leaf + 1) << LEAF_BITS)


def leaves_of_bucket(bucket: int) -> range:
    """The leaf numbers that a bucket covers."""
    return range(bucket * LEAVES, (bucket + 1) * LEAVES)


def leaf_sums(rows: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Leaf -> sum of the stamps of its rows, modulo 2^48."""
    sums: dict[int, int] = {}
    for key, stamp in rows:
        leaf = key >> LEAF_BITS
        sums[leaf] = (sums.get(leaf, 0) + stamp) & MARK_MASK
    return sums


def pack_marks(keys: Iterable[int], marks: Mapping[int, int]) -> bytes:
    """Marks of `keys` in order, six bytes each; zero stands for a key that is not there."""
    return b"".join(marks.get(key, 0).to_bytes(MARK_BYTES, "big") for key in keys)


def unpack_marks(keys: Iterable[int], packed: bytes) -> dict[int, int]:
    """The inverse of `pack_marks`. Raises ValueError when the length does not fit."""
    listed = list(keys)
    if len(packed) != len(listed) * MARK_BYTES:
        raise ValueError(f"{len(packed)} bytes of marks for {len(listed)} keys")
    marks = {}
    for place, key in enumerate(listed):
        mark = int.from_bytes(packed[place * MARK_BYTES : (place + 1) * MARK_BYTES], "big")
        if mark:
            marks[key] = mark
    return marks
