"""The little of BER (X.690) that an SNMP notification needs: definite lengths, the types of RFC 2578, and nothing to decode."""

from __future__ import annotations

INTEGER, OCTETS, OID, SEQUENCE = 0x02, 0x04, 0x06, 0x30
TIMETICKS, TRAP_V2 = 0x43, 0xA7


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, length, value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Two's complement in the fewest octets."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    return tlv(OCTETS, value)


def oid(dotted: str) -> bytes:
    """`1.3.6.1…`; ValueError for anything else."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or min(arcs) < 0 or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"not an object identifier: {dotted}")
    return tlv(OID, b"".join(_arc(arc) for arc in (arcs[0] * 40 + arcs[1], *arcs[2:])))


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    return tlv(tag, b"".join(parts))


def _arc(value: int) -> bytes:
    """Base 128, high bit on all but the last."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
