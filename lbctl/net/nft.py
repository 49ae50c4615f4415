"""nftables by its own library (libnftables(3), which the program `nft` is a thin shell around): a script in, what it prints out.

In this process because a program of its own costs a move some 20 ms: to be started, and to end, when the kernel waits for its readers before
the last socket to nf_tables is closed. For the same reason the context is kept. A script is one transaction of the kernel, all or nothing, and
takes about a millisecond, so it is an ordinary call. What it needs is CAP_NET_ADMIN.
"""

from __future__ import annotations

import ctypes
from functools import cache

from lbctl.errors import ActuatorError

_LIBRARY = "libnftables.so.1"
_JSON = 1 << 4
SAID_MAX = 500
NOT_THERE = "no-such-table"


class Nft:
    """One context, opened when it is first used; it belongs to the network namespace of that moment."""

    def __init__(self) -> None:
        self._context: int | None = None

    def run(self, script: str) -> None:
        """Does what the script says, or nothing. ActuatorError `nft` with what the library says."""
        self._run(script, 0)

    def json(self, script: str) -> str:
        """What the script prints, as JSON. ActuatorError as above; its reason is `NOT_THERE` where something that is named does not exist."""
        return self._run(script, _JSON)

    @staticmethod
    def ready() -> None:
        """ActuatorError `nft` where the library is not installed."""
        _library()

    def close(self) -> None:
        """Lets the context go."""
        if self._context is not None:
            _library().nft_ctx_free(self._context)
            self._context = None

    def _run(self, script: str, flags: int) -> str:
        library = _library()
        if self._context is None:
            self._context = library.nft_ctx_new(0)
            library.nft_ctx_buffer_output(self._context)
            library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_output_set_flags(self._context, flags)
        failed = library.nft_run_cmd_from_buffer(self._context, script.encode())
        # Reading a buffer empties it: both are read each time, so that nothing is left over for the next script.
        printed = library.nft_ctx_get_output_buffer(self._context).decode(errors="replace")
        said = library.nft_ctx_get_error_buffer(self._context).decode(errors="replace").strip()
        if failed:
            reason = NOT_THERE if flags == _JSON and "No such file or directory" in said else "nft"
            raise ActuatorError(reason, f"nft refuses: {said[:SAID_MAX]}", hint="CAP_NET_ADMIN, nft_chain_nat")
        return str(printed)


@cache
def _library() -> ctypes.CDLL:
    """Loaded when rules are first needed: most hosts pass nothing on, and need not have it."""
    try:
        found = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise ActuatorError("nft", f"{_LIBRARY} is not installed", hint="apt install nftables", temporary=False) from None
    context = ctypes.c_void_p
    found.nft_ctx_new.restype, found.nft_ctx_new.argtypes = context, [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(found, name).argtypes = [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(found, name).restype, getattr(found, name).argtypes = ctypes.c_char_p, [context]
    found.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    found.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    return found
