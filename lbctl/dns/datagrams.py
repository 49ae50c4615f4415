"""Reading and answering UDP: the loops of the hot path, called by the event loop when a socket has something.

`batched` takes up to 64 datagrams with one system call and sends their replies with another (recvmmsg, sendmmsg): the kernel's own arrays,
no address made into an object and back, a third less CPU for each answer. It needs Linux with 64-bit pointers. On a wildcard address it
also answers from the very address that was asked, which a host with several addresses needs. `single` does the same with ordinary sockets
anywhere; both are tested with the same questions.

Both are written as one function each, because a call for each datagram would be a good part of its cost.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lbctl.dns.answers import Template
from lbctl.dns.limit import Pass, RateLimit, prefix_of

DATAGRAMS = 64
QUESTION_BYTES = 1024
REPLY_BYTES = 2048
NAME_BYTES = 28
CONTROL_BYTES = 64
HEADER_BYTES, VECTOR_BYTES = 64, 16  # struct mmsghdr, struct iovec
LENGTH_AT = 56 // 4
LOOPBACK6 = bytes(15) + b"\1"
IP_PKTINFO, IPV6_RECVPKTINFO = 8, 49


@dataclass(slots=True)
class Desk:
    """What a reader needs: known replies, where others come from, and how often one may answer."""

    templates: Mapping[bytes, Template]
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
        if verdict is Pass.SEND:
            return reply
        return self.truncated(question) if verdict is Pass.TRUNCATE else None


def reader(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """The best loop for this machine."""
    fits = sys.platform == "linux" and struct.calcsize("P") == 8 and hasattr(_LIBC, "sendmmsg")
    return (batched if fits else single)(sock, desk)


def single(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """One system call for each datagram and each reply."""
    receive, send, templates = sock.recvfrom, sock.sendto, desk.templates

    def drain() -> None:
        limit = desk.limit
        now = desk.time() if limit is not None else 0.0
        try:
            for _ in range(DATAGRAMS):
                data, client = receive(QUESTION_BYTES)
                template = templates.get(data[2:].lower())
                if template is not None:
                    template.hits += 1
                    reply: bytes | None = data[:2] + template.head + data[12 : template.end] + template.tail
                    if template.tails is not None:
                        template.tail = next(template.tails)
                else:
                    reply = desk.answer(data, client[0])
                if limit is not None:
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
        self.inbox, self.outbox = bytearray(DATAGRAMS * QUESTION_BYTES), bytearray(DATAGRAMS * REPLY_BYTES)
        self.names, self.controls = bytearray(DATAGRAMS * NAME_BYTES), bytearray(DATAGRAMS * CONTROL_BYTES)
        vectors_in, vectors_out = bytearray(DATAGRAMS * VECTOR_BYTES), bytearray(DATAGRAMS * VECTOR_BYTES)
        received, sent = bytearray(DATAGRAMS * HEADER_BYTES), bytearray(DATAGRAMS * HEADER_BYTES)
        self.received_at, self.sent_at = _address(received), _address(sent)
        self.headers_in, self.headers_out = memoryview(received).cast("Q"), memoryview(sent).cast("Q")
        self.lengths_in = memoryview(received).cast("I")
        self.vectors_in, self.vectors_out = memoryview(vectors_in).cast("Q"), memoryview(vectors_out).cast("Q")
        self.control_bytes = CONTROL_BYTES
        self.wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104
        if self.wildcard:
            sock.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) if self.six else (socket.IPPROTO_IP, IP_PKTINFO, 1)))
        for at in range(DATAGRAMS):
            self.vectors_in[2 * at : 2 * at + 2] = _pair(_address(self.inbox) + at * QUESTION_BYTES, QUESTION_BYTES)
            self.vectors_out[2 * at] = _address(self.outbox) + at * REPLY_BYTES
            for headers, vectors in ((self.headers_in, vectors_in), (self.headers_out, vectors_out)):
                headers[8 * at + 2 : 8 * at + 4] = _pair(_address(vectors) + at * VECTOR_BYTES, 1)
                self.point(headers, at, at)

    def point(self, headers: memoryview, at: int, index: int) -> None:
        """Header `at` names the sender of datagram `index`, and the address that it was sent to."""
        headers[8 * at : 8 * at + 2] = _pair(_address(self.names) + index * NAME_BYTES, NAME_BYTES if self.six else 16)
        if self.wildcard:
            length = CONTROL_BYTES if headers is self.headers_in else self.control_bytes
            headers[8 * at + 4 : 8 * at + 6] = _pair(_address(self.controls) + index * CONTROL_BYTES, length)

    def reopen(self, count: int) -> None:
        """The kernel has shortened the control lengths to what it filled: takes that over for sending, opens them for the next receiving."""
        self.control_bytes = self.headers_in[5]
        for at in range(count):
            self.headers_out[8 * at + 5] = self.control_bytes
            self.headers_in[8 * at + 5] = CONTROL_BYTES

    def host(self, index: int) -> str:
        """The sender of datagram `index` as text."""
        at = index * NAME_BYTES
        if self.six:
            return socket.inet_ntop(socket.AF_INET6, self.names[at + 8 : at + 24])
        return socket.inet_ntop(socket.AF_INET, self.names[at + 4 : at + 8])

    def prefix(self, index: int) -> bytes | None:
        """Its client prefix, as `limit.prefix_of` has it; None for loopback."""
        at = index * NAME_BYTES
        if self.six:
            return None if self.names[at + 8 : at + 24] == LOOPBACK6 else bytes(self.names[at + 8 : at + 15])
        return None if self.names[at + 4] == 127 else bytes(self.names[at + 4 : at + 7])


def _address(memory: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))


def _pair(left: int, right: int) -> memoryview:
    return memoryview(struct.pack("QQ", left, right)).cast("Q")


def batched(sock: socket.socket, desk: Desk) -> Callable[[], None]:
    """Two system calls for up to 64 datagrams and their replies."""
    arrays, handle, known = _Arrays(sock), sock.fileno(), desk.templates.get
    receive, lengths, vectors, names = _LIBC.recvmmsg, arrays.lengths_in, arrays.vectors_out, arrays.names
    four = not arrays.six
    inbox, outbox, received_at = memoryview(arrays.inbox), memoryview(arrays.outbox), ctypes.c_void_p(arrays.received_at)

    def drain() -> None:
        count = receive(handle, received_at, DATAGRAMS, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return
        limit = desk.limit
        now = desk.time() if limit is not None else 0.0
        if arrays.wildcard:
            arrays.reopen(count)
        data = bytes(inbox[: count * QUESTION_BYTES])  # one copy for all: a slice of bytes is cheap, and can be a key
        sizes: list[int] = []
        at = out = 0
        moved = False
        for index, length in enumerate(lengths[LENGTH_AT : count * 16 : 16].tolist()):
            end = at + length
            template = known(data[at + 2 : end].lower())
            if template is not None:
                template.hits += 1
                reply: bytes | None = data[at : at + 2] + template.head + data[at + 12 : at + template.end] + template.tail
                if template.tails is not None:
                    template.tail = next(template.tails)
            else:
                reply = desk.answer(data[at:end], arrays.host(index))
            # loopback is exempt, which over IPv4 is seen without a call
            if limit is not None and not (four and names[index * NAME_BYTES + 4] == 127):
                reply = desk.limited(reply, data[at:end], arrays.prefix(index), now)
            if reply is not None and (size := len(reply)) <= REPLY_BYTES:
                outbox[out : out + size] = reply
                if len(sizes) != index:
                    arrays.point(arrays.headers_out, len(sizes), index)
                    moved = True
                sizes.append(size)
                out += REPLY_BYTES
            at += QUESTION_BYTES
        sent = len(sizes)
        vectors[1 : 2 * sent : 2] = array("Q", sizes)
        desk.unsent += _send(handle, arrays.sent_at, sent)
        if moved:
            for index in range(sent):
                arrays.point(arrays.headers_out, index, index)

    return drain


def _send(handle: int, headers: int, count: int) -> int:
    """Sends prepared replies; how many could not be (no route back, a firewall's refusal, a full buffer: the clients' loss alone)."""
    done = lost = 0
    while done < count:
        sent = _LIBC.sendmmsg(handle, ctypes.c_void_p(headers + done * HEADER_BYTES), count - done, socket.MSG_DONTWAIT)
        lost += sent <= 0
        done += max(sent, 1)
    return lost
