"""Reading and answering UDP: the loops of the hot path, called by the event loop when a socket has something.

`batched` takes up to 64 datagrams with one system call and sends their replies with another (recvmmsg, sendmmsg): the kernel's own arrays,
no address made into an object and back, and the reply of a template written around the question where that lies. It needs Linux with 64-bit
pointers. On a wildcard address it also answers from the very address that was asked, which a host with several addresses needs. `single`
does the same with ordinary sockets anywhere; both are tested with the same questions.

Both are written as one function each, because a call for each datagram would be a good part of its cost.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from lbctl.dns.limit import Pass, RateLimit, prefix_of
from lbctl.dns.templates import Templates

DATAGRAMS = 64
QUESTION_BYTES = 1024
SLOT_BYTES = 1920  # holds the longest reply, signed; and all slots are less than malloc would fetch from the kernel for each batch
NAME_BYTES = 28
CONTROL_BYTES = 64
HEADER_BYTES, VECTOR_BYTES = 64, 16  # struct mmsghdr, struct iovec
LENGTH_AT = 56 // 4
LOOPBACK4, LOOPBACK6 = b"\x7f", bytes(15) + b"\1"
IP_PKTINFO, IPV6_RECVPKTINFO = 8, 49


@dataclass(slots=True)
class Desk:
    """What a reader needs: known replies, where others come from, and how often one may answer."""

    templates: Templates
    answer: Callable[[bytes, str], bytes | None]
    truncated: Callable[[bytes], bytes | None]
    time: Callable[[], float]
    limit: RateLimit | None = None
    unsent: int = 0

    def limited(self, reply: bytes | None, question: bytes, prefix: bytes | str | None, now: float) -> bytes | None:
        """The reply as the rate limit leaves it."""
        if self.limit is None or reply is None:
            return reply
        verdict = self.limit.judge(prefix, now)
        return reply if verdict is Pass.SEND else self.instead(verdict, question)

    def instead(self, verdict: Pass, question: bytes) -> bytes | None:
        """What a question beyond the rate gets."""
        return self.truncated(question) if verdict is Pass.TRUNCATE else None


def reader(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """The best loop for this machine."""
    fits = sys.platform == "linux" and struct.calcsize("P") == 8 and hasattr(_LIBC, "sendmmsg")
    return (batched if fits else single)(sock, desk)


def single(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """One system call for each datagram and each reply."""
    receive, send, find = sock.recvfrom, sock.sendto, desk.templates.find

    def drain() -> None:
        now = desk.time() if desk.limit is not None else 0.0
        try:
            for _ in range(DATAGRAMS):
                data, client = receive(QUESTION_BYTES)
                template = find(data[2:].lower())
                reply = desk.answer(data, client[0]) if template is None else template.reply(data)
                if desk.limit is not None:
                    reply = desk.limited(reply, data, prefix_of(client[0]), now)
                if reply is not None:
                    send(reply, client)
        except BlockingIOError:
            return
        except OSError:  # no route back, a firewall's refusal: the client's loss alone
            desk.unsent += 1

    return drain


_LIBC = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: neither call waits


class _Arrays:
    """Memory shared with the kernel: for each datagram its bytes, its sender, and on a wildcard address where it was sent to."""

    def __init__(self, sock: socket.socket) -> None:
        self.six = sock.family == socket.AF_INET6
        self.slots = bytearray(DATAGRAMS * SLOT_BYTES)
        self.names, self.controls = bytearray(DATAGRAMS * NAME_BYTES), bytearray(DATAGRAMS * CONTROL_BYTES)
        vectors_in, vectors_out = bytearray(DATAGRAMS * VECTOR_BYTES), bytearray(DATAGRAMS * VECTOR_BYTES)
        received, sent = bytearray(DATAGRAMS * HEADER_BYTES), bytearray(DATAGRAMS * HEADER_BYTES)
        self.received_at, self.sent_at = _address(received), _address(sent)
        self.headers_in, self.headers_out = memoryview(received).cast("Q"), memoryview(sent).cast("Q")
        self.lengths_in = memoryview(received).cast("I")
        self.sizes_out = memoryview(vectors_out).cast("Q")[1::2]
        self.vectors_in, self.vectors_out = vectors_in, vectors_out  # kept alive: the headers hold nothing but their addresses
        self.control_bytes = CONTROL_BYTES
        self.wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104
        if self.wildcard:
            sock.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) if self.six else (socket.IPPROTO_IP, IP_PKTINFO, 1)))
        for at in range(DATAGRAMS):
            for headers, vectors in ((self.headers_in, vectors_in), (self.headers_out, vectors_out)):
                # A reply is sent from the slot that its question came into.
                memoryview(vectors).cast("Q")[2 * at : 2 * at + 2] = _pair(_address(self.slots) + at * SLOT_BYTES, QUESTION_BYTES)
                self.point(headers, at, at)

    def point(self, headers: memoryview, at: int, index: int) -> None:
        """Header `at` is for datagram `index`: its sender, its slot, and the address that it was sent to."""
        headers[8 * at : 8 * at + 2] = _pair(_address(self.names) + index * NAME_BYTES, NAME_BYTES if self.six else 16)
        vectors = self.vectors_in if headers is self.headers_in else self.vectors_out
        headers[8 * at + 2 : 8 * at + 4] = _pair(_address(vectors) + index * VECTOR_BYTES, 1)
        if self.wildcard:
            length = CONTROL_BYTES if headers is self.headers_in else self.control_bytes
            headers[8 * at + 4 : 8 * at + 6] = _pair(_address(self.controls) + index * CONTROL_BYTES, length)

    def reopen(self, count: int) -> None:
        """The kernel has shortened the control lengths to what it filled: takes that over for sending, opens them for the next receiving."""
        self.control_bytes = self.headers_in[5]
        for at in range(count):
            self.headers_out[8 * at + 5] = self.control_bytes
            self.headers_in[8 * at + 5] = CONTROL_BYTES

    def put(self, at: int, reply: bytes | None) -> int:
        """Writes a whole reply into the slot at `at`; its size, 0 for silence."""
        if reply is None or len(reply) > SLOT_BYTES:
            return 0
        self.slots[at : at + len(reply)] = reply
        return len(reply)

    def send(self, handle: int, sizes: list[int]) -> int:
        """Sends what is in the slots, `sizes` bytes of each; how many could not be."""
        self.sizes_out[: len(sizes)] = array("Q", sizes)
        if 0 not in sizes:
            return _send(handle, self.sent_at, len(sizes))
        # Somebody gets silence: the headers of the others move up, and back again afterwards.
        heard = [index for index, size in enumerate(sizes) if size]
        for at, index in enumerate(heard):
            self.point(self.headers_out, at, index)
        lost = _send(handle, self.sent_at, len(heard))
        for at in range(len(heard)):
            self.point(self.headers_out, at, at)
        return lost

    def host(self, at: int) -> str:
        """The address at `at` of `names`, as text."""
        if self.six:
            return socket.inet_ntop(socket.AF_INET6, self.names[at : at + 16])
        return socket.inet_ntop(socket.AF_INET, self.names[at : at + 4])


def _address(memory: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))


def _pair(left: int, right: int) -> memoryview:
    return memoryview(struct.pack("QQ", left, right)).cast("Q")


def batched(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """Two system calls for up to 64 datagrams and their replies."""
    arrays, handle, known, absent = _Arrays(sock), sock.fileno(), desk.templates.exact.get, desk.templates.absent
    receive, lengths, slots = _LIBC.recvmmsg, arrays.lengths_in, arrays.slots
    view, names, received_at = memoryview(slots), memoryview(arrays.names), ctypes.c_void_p(arrays.received_at)
    address_at, prefix_bytes, exempt = (8, 7, LOOPBACK6) if arrays.six else (4, 3, LOOPBACK4)

    def drain() -> None:
        count = receive(handle, received_at, DATAGRAMS, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return
        if arrays.wildcard:
            arrays.reopen(count)
        # One copy for all: a slice of bytes is cheap and can be a key, and the question is still whole when the reply is written around it.
        data = bytes(view[: count * SLOT_BYTES])
        limit = desk.limit
        if limit is not None:
            limit.open(desk.time())
            rate, counts, senders = limit.rate, limit.counts, bytes(names[: count * NAME_BYTES])
        sizes: list[int] = []
        at, sender = 0, address_at
        for length in lengths[LENGTH_AT : count * 16 : 16].tolist():
            end = at + length
            low = data[at + 2 : end].lower()
            template = known(low) or absent(low)
            if template is not None:
                template.hits += 1
                size = template.size
                slots[at + 2 : at + 12] = template.head
                slots[at + template.end : at + size] = template.tail
                if template.tails is not None:
                    template.tail = next(template.tails)
            else:
                size = arrays.put(at, desk.answer(data[at:end], arrays.host(sender)))
            if limit is not None and size and not senders.startswith(exempt, sender):
                prefix = senders[sender : sender + prefix_bytes]
                counts[prefix] = spent = counts.get(prefix, 0) + 1
                if spent > rate:
                    size = arrays.put(at, desk.instead(limit.beyond(spent), data[at:end]))
            sizes.append(size)
            at += SLOT_BYTES
            sender += NAME_BYTES
        desk.unsent += arrays.send(handle, sizes)

    return drain


def _send(handle: int, headers: int, count: int) -> int:
    """Sends prepared replies; how many could not be (no route back, a firewall's refusal, a full buffer: the clients' loss alone)."""
    done = lost = 0
    while done < count:
        sent = _LIBC.sendmmsg(handle, ctypes.c_void_p(headers + done * HEADER_BYTES), count - done, socket.MSG_DONTWAIT)
        lost += sent <= 0
        done += max(sent, 1)
    return lost
