"""The way to one target: where its name leads, how it is asked; prepared once, used by every look and by the kept connection."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

from lbctl.probes.base import Tls
from lbctl.probes.names import Name, Place
from lbctl.probes.tls import Facts

_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_UNDER_WAY = (0, errno.EINPROGRESS)


@dataclass(slots=True)
class Route:
    """How one target is asked; prepared once. Without `request` the exchange is over when it is connected (and the handshake done)."""

    name: Name
    timeout_s: float
    tls: Tls | None
    server_name: str
    request: bytes
    expected: frozenset[int]
    source: str | None = None
    family: int | None = None
    reread_files: bool = False
    facts: Facts | None = None
    places: tuple[Place, ...] = ()

    def addresses(self) -> tuple[Place, ...]:
        """Where to connect to, by the last good answer and the family that is asked for."""
        # `places` pins one address (a second handshake goes to the server of the first); else the name's last good answer.
        if self.family is None:
            return self.places or self.name.places
        wanted = socket.AF_INET if self.family == 4 else socket.AF_INET6
        return tuple(place for place in self.places or self.name.places if place[0] == wanted)

    def connect(self, place: Place) -> socket.socket:
        """A socket whose connection is under way or made; OSError where it could not even begin."""
        family, address = place
        sock = socket.socket(family, _STREAM)
        try:
            if self.source:
                # Looks must leave by the path that is to be judged (H5).
                sock.bind((self.source, 0))
            # An error number instead of an exception: "under way" is the usual answer, thousands of times a second.
            number = sock.connect_ex(address)
            if number not in _UNDER_WAY:
                raise OSError(number, os.strerror(number))
        except OSError:
            sock.close()
            raise
        return sock
