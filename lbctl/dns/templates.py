"""Kept replies: what makes the hot path short, for names that are there and for names that are not.

Most questions are the same few, asked again and again. Their replies are kept as *templates*: the packet after its id, in lower case, is the
key; the reply is the asker's id, a head, the question exactly as it was asked (0x20 mixed case comes back untouched), and a tail. A hit
costs a dictionary look-up and two copies.

A flood asks for random names instead, and nothing may be kept for each of them. All that the NXDOMAINs of one zone differ in is the question
and the place of the zone's name in it, so one `Negative` for each zone, question type, flags and EDNS answers for every name that is not there,
at any depth; and one `Refusal` for every name outside all zones. They are found by what follows the unknown labels; that the name is really not
there is asked of the zones each time.

All are made from a reply to a whole, parsed question; a later packet has the same bytes but for labels that are looked at, so it needs no
parsing to be known as sound. The table is bounded and emptied by every change, so it can neither grow nor be stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from itertools import cycle

from lbctl.dns import wire
from lbctl.dns.wire import Query
from lbctl.dns.zone import Zone

TEMPLATES_MAX = 32_768
NAME_BYTES_MAX = 255
Label = tuple[str, str, str]
"""What a reply is counted as: transport, question type, reply code."""
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEADER = 10  # bytes before the name, in a packet without its id
_NAME_END = _HEADER + NAME_BYTES_MAX


class Template:
    """A reply but for the asker's id and spelling: `head` after the id, `tail` from the offset `end` after the question, `size` bytes in all.

    `tails` holds the other orders of several addresses, taken in turn. Head and tail are bytearrays because a slice of a bytearray takes
    only these without making a copy first (`datagrams.batched`).
    """

    __slots__ = ("end", "head", "hits", "label", "size", "tail", "tails")

    def __init__(self, head: bytes, end: int, tails: Iterable[bytes], label: Label) -> None:
        orders = [bytearray(tail) for tail in tails]
        turns = cycle(orders)
        next(turns)  # what the zone itself has just answered
        self.head = bytearray(head)
        self.end = end
        self.tail = next(turns)
        self.tails = turns if len(orders) > 1 else None
        self.size = end + len(self.tail)
        self.hits = 0
        self.label = label

    def reply(self, data: bytes) -> bytes:
        """The reply to `data`, counted. `datagrams.batched` does the same in place."""
        self.hits += 1
        reply = data[:2] + self.head + data[12 : self.end] + self.tail
        if self.tails is not None:
            self.tail = next(self.tails)
        return reply


class Negative(Template):
    """NXDOMAIN for any name of one zone, written over for each question: `fitted` tells it where the zone's name begins."""

    __slots__ = ("_after", "_below", "_last", "_nodes", "suffix_bytes")

    def __init__(self, head: bytes, end: int, tail: bytes, label: Label, zone: Zone) -> None:
        super().__init__(head, end, (tail,), label)
        self._nodes, self._below = zone.nodes, zone.below
        self.suffix_bytes = len(zone.origin)
        self._after = self.suffix_bytes + 4
        # Beyond this the name is too long, or the reply longer than what the least of clients takes: the slow way knows what to do.
        longest = min(NAME_BYTES_MAX + 16, wire.UDP_SIZE_MIN - len(tail))
        self._last = longest - self._after - 2

    def fitted(self, low: bytes, at: int) -> Negative | None:
        """Itself, as the reply to `low` with the zone's name at `at`; None where the name is there after all, or the reply too long."""
        name = low[_HEADER : at + self.suffix_bytes]
        if at > self._last or name in self._nodes or name in self._below:
            return None
        at += 2  # the whole packet has its id in front
        end = at + self._after
        if end != self.end:
            self.tail[0] = 0xC0 | at >> 8  # the SOA's owner: a pointer to the zone's name in the question
            self.tail[1] = at & 0xFF
            self.end = end
            self.size = end + len(self.tail)
        return self


class Refusal(Template):
    """REFUSED for any name outside all zones, written over for each question."""

    __slots__ = ("_zones",)
    suffix_bytes = 1

    def __init__(self, head: bytes, end: int, tail: bytes, label: Label, zones: Container[bytes]) -> None:
        super().__init__(head, end, (tail,), label)
        self._zones = zones

    def fitted(self, low: bytes, at: int) -> Refusal | None:
        """Itself, as the reply to `low` with the root at `at`; None where a zone holds the name, or the name is too long."""
        if at >= _NAME_END:
            return None
        label = _HEADER
        while label < at:
            if low[label : at + 1] in self._zones:
                return None
            label += 1 + low[label]
        self.end = at + 7  # the id, the root, the type and the class
        self.size = self.end + len(self.tail)
        return self


class Templates:
    """The table. `exact` has the packets that are known, `absent` is for names that are not there."""

    def __init__(self, size_max: int = TEMPLATES_MAX) -> None:
        self.exact: dict[bytes, Template] = {}
        self._endings: dict[bytes, dict[bytes, Negative | Refusal]] = {}
        self._endings_count = 0
        self._size_max = size_max
        self._counts: Counter[Label] = Counter()

    def __len__(self) -> int:
        return len(self.exact) + self._endings_count

    def find(self, low: bytes) -> Template | None:
        """The template for `low`, a packet after its id in lower case; None: the zone is to be asked."""
        return self.exact.get(low) or self.absent(low)

    def absent(self, low: bytes) -> Template | None:
        """The NXDOMAIN or REFUSED for `low`; None: it is not known to get one."""
        endings = self._endings.get(low[:_HEADER])
        if endings is None:
            return None
        at = _HEADER
        try:
            while 0 < (length := low[at]) < 64 and at < _NAME_END:
                at += 1 + length
                found = endings.get(low[at:])
                if found is not None:
                    return found.fitted(low, at)
        except IndexError:  # cut short, cheaper than to look at each label
            return None
        return None

    def keep(self, data: bytes, query: Query, made: Template) -> None:
        """Remembers what a plain question got, where that is safe.

        Letters outside the name are the danger of a key in lower case: a packet that differs there in that one bit would get this reply too.
        In the question's type they do no harm, for none that a zone holds has one, and all others are answered alike. In the EDNS size
        they do none where every client takes the whole reply.
        """
        whole = made.size <= wire.UDP_SIZE_MIN and not made.head[0] & wire.TC >> 8
        fixed = data[2:12] + data[query.end - 2 : query.end + 3] + data[query.end + 5 :]
        if not query.plain or not _LETTERS.isdisjoint(fixed):
            return
        if not whole and not _LETTERS.isdisjoint(data[query.end :]):
            return
        if len(self) >= self._size_max:
            self.clear()
        low = data[2:].lower()
        if not isinstance(made, Negative | Refusal):
            self.exact.setdefault(low, made)
        elif whole:
            endings = self._endings.setdefault(low[:_HEADER], {})
            before = len(endings)
            endings.setdefault(low[query.end - 6 - made.suffix_bytes :], made)  # the one that is there has counted
            self._endings_count += len(endings) - before

    def count(self, label: Label) -> None:
        """Counts one reply that came from no template."""
        self._counts[label] += 1

    def counts(self) -> Counter[Label]:
        """Replies since the start."""
        total = Counter(self._counts)
        for template in self._all():
            total[template.label] += template.hits
        return total

    def clear(self) -> None:
        """Forgets all replies, and no count."""
        self._counts = self.counts()
        self.exact.clear()
        self._endings.clear()
        self._endings_count = 0

    def _all(self) -> Iterable[Template]:
        yield from self.exact.values()
        for endings in self._endings.values():
            yield from endings.values()
