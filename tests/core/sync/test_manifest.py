"""What differs, as a matter of sets: the three levels together always lead from one table to the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.sync import manifest

KEYS = st.one_of(st.integers(0, 40_000), st.integers(-(1 << 62), 1 << 62))
TABLE = st.dictionaries(KEYS, st.integers(1, manifest.MARK_MASK), max_size=40)


def buckets(table: dict[int, int]) -> dict[int, tuple[int, int]]:
    sums: dict[int, tuple[int, int]] = {}
    for key, stamp in table.items():
        rows, total = sums.get(key >> manifest.BUCKET_BITS, (0, 0))
        sums[key >> manifest.BUCKET_BITS] = rows + 1, total + stamp
    return sums


def inside(table: dict[int, int], parts: tuple[int, ...], bits: int) -> dict[int, int]:
    return {key: stamp for key, stamp in table.items() if key >> bits in parts}


def synced(mine: dict[int, int], theirs: dict[int, int]) -> dict[int, int]:
    """What the transfer does, on dictionaries."""
    result = dict(mine)
    top = manifest.compare(buckets(mine), buckets(theirs))
    for key in inside(mine, top.drop, manifest.BUCKET_BITS):
        del result[key]
    result |= inside(theirs, top.fetch, manifest.BUCKET_BITS)
    below = [inside(table, top.differ, manifest.BUCKET_BITS) for table in (mine, theirs)]
    leaves = manifest.compare(*(manifest.leaf_sums(table.items()) for table in below))
    unlike = (*leaves.fetch, *leaves.drop, *leaves.differ)
    rows = manifest.compare(*(inside(table, unlike, manifest.LEAF_BITS) for table in below))
    for key in rows.drop:
        del result[key]
    return result | {key: theirs[key] for key in (*rows.fetch, *rows.differ)}


@given(TABLE, TABLE, TABLE)
def test_the_levels_lead_from_any_table_to_any_other(common: dict[int, int], here: dict[int, int], there: dict[int, int]) -> None:
    assert synced(common | here, common | there) == common | there


@given(TABLE)
def test_equal_tables_have_nothing_to_say(table: dict[int, int]) -> None:
    assert manifest.compare(buckets(table), buckets(table)).nothing


@given(TABLE)
def test_marks_survive_the_wire(table: dict[int, int]) -> None:
    asked = sorted({*table, 1, 2, 3})
    assert manifest.unpack_marks(asked, manifest.pack_marks(asked, table)) == table


def test_marks_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        manifest.unpack_marks([1], b"12345")


def test_ranges_cover_every_key_once() -> None:
    keys = [key for bucket in (-1, 0) for leaf in manifest.leaves_of_bucket(bucket) for key in manifest.keys_of_leaf(leaf)]
    assert keys == [*manifest.keys_of_bucket(-1), *manifest.keys_of_bucket(0)]
