"""One connection to a member, plain or TLS, on a non-blocking socket; and what the system's errors mean for a look."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from lbctl.model.looks import Reason
from lbctl.probes.reply import Flaw

# About one TLS record; the guide's pages are far smaller.
READ_BYTES = 16 * 1024

_REASONS = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.ENOTCONN: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
}
# What this machine has run out of: counted as failures, they would take down every member at once.
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EAGAIN})


def system_flaw(number: int | None) -> Flaw:
    """The reason that an `errno` stands for. Want of descriptors, ports or memory is ours: such a look says nothing about the member."""
    number = number or 0
    return Flaw(_REASONS.get(number, Reason.UNREACHABLE), os.strerror(number).lower(), local=number in _LOCAL)


class Wire:
    """A connected socket and, for https, its TLS state. `uses` counts the looks that it has carried."""

    __slots__ = ("_incoming", "_outgoing", "sock", "tls", "uses")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.uses = 0
        self.tls: ssl.SSLObject | None = None

    def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Puts TLS on it; ValueError where the name cannot be one."""
        # In memory, so that the socket stays the engine's and every failure comes by one way.
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def shake(self) -> bool:
        """Goes on with the handshake; True when it is done. The last flight leaves together with the request. Raises ssl.SSLError, OSError."""
        assert self.tls is not None
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            # The handshake wants more: what it has to say must leave first, or both would wait.
            self._flush()
            return False
        return True

    def send(self, data: bytes) -> None:
        """Raises OSError where the kernel does not take it whole: a request always fits."""
        if self.tls is not None:
            self.tls.write(data)
            self._flush()
        # A fresh socket's buffer takes kilobytes: where it does not, the peer has not read for long.
        elif self.sock.send(data) != len(data):
            raise ConnectionResetError(errno.ECONNRESET, "the request did not fit")

    def take(self, data: bytes) -> None:
        """Hands bytes from the network to TLS."""
        self._incoming.write(data)

    def clear(self) -> bytes | None:
        """The next decrypted bytes, None when more must come first, empty at the proper end. Raises ssl.SSLError."""
        assert self.tls is not None
        try:
            return self.tls.read(READ_BYTES)
        except ssl.SSLWantReadError:
            # A reply to the peer (a key update): rare, and lost if nobody sends it.
            if self._outgoing.pending:
                self._flush()
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self.sock.send(data) != len(data):
            raise ConnectionResetError(errno.ECONNRESET, "the peer does not read")
