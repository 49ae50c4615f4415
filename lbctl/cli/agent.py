"""`lbctl agent`: holds virtual addresses on a host that is not the controller's, in the foreground, until it is told to end."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ipaddress
import re
import ssl
from pathlib import Path

import click

from lbctl import logs
from lbctl.agent.server import Settings, run
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals, verb
from lbctl.net import AGENT_PORT
from lbctl.net.trust import PIN, Files, pin

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _endpoints(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return tuple(_endpoint(text) for text in texts)


def _endpoint(text: str) -> tuple[str, int]:
    """`IP`, `IP:port`, `[IPv6]:port`. Not the configuration's own: that takes half a second to import, and this process starts when it is urgent."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?|([0-9.]+)(?::(\d{1,5}))?|([0-9a-fA-F:.]+)", text)
    try:
        six, six_port, four, four_port, bare = found.groups() if found else ("",) * 5
        host, port = str(ipaddress.ip_address(six or four or bare)), int(six_port or four_port or AGENT_PORT)
        if port > 65535:
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{text}: expected ADDRESS, ADDRESS:PORT or [IPv6]:PORT") from None
    return host, port


def _addresses(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for text in texts:
        address, _, interface = text.partition("@")
        try:
            found.append((str(ipaddress.ip_interface(address)), interface))
        except ValueError as error:
            raise click.BadParameter(f"{error}; expected 203.0.113.9/32@eth0") from None
        if not interface:
            raise click.BadParameter(f"{text}: expected ADDRESS@INTERFACE such as 203.0.113.9/32@eth0")
    return tuple(found)


def _controllers(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            if text.startswith(PIN):
                pin(text)
            elif not re.fullmatch(r"[A-Za-z0-9_.:-]+", text):
                raise ValueError(f"{text!r}: expected a name or an address of the controller's certificate, or {PIN}DIGEST")
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return texts


@verb
@click.option("--address", "addresses", multiple=True, required=True, callback=_addresses, metavar="ADDRESS@INTERFACE", envvar="LBCTL_AGENT_ADDRESS",
              help="What this host may hold, and where: 203.0.113.9/32@eth0. Nothing else, whatever it is told.")
@click.option("--listen", default=f"0.0.0.0:{AGENT_PORT}", callback=lambda c, p, text: _endpoints(c, p, (text,))[0], metavar="ADDRESS[:PORT]",
              envvar="LBCTL_AGENT_LISTEN", show_default=True, help="Where the controller and the peers reach it.")
@click.option("--peer", "peers", multiple=True, callback=_endpoints, metavar="ADDRESS[:PORT]", envvar="LBCTL_AGENT_PEER",
              help="Each other agent of the same address: all of them together may let it keep the address while the controller is away.")
@click.option("--controller", "controllers", multiple=True, required=True, callback=_controllers, metavar="NAME|sha256:DIGEST",
              envvar="LBCTL_AGENT_CONTROLLER",
              help="Whom it obeys: a name or address in the controller's certificate (subjectAltName), or the digest of its public key. Nobody else "
                   "of the same authority.")
@click.option("--cert-file", required=True, type=FILE, envvar="LBCTL_AGENT_CERT_FILE", help="Its certificate, with --listen's address in it.")
@click.option("--key-file", required=True, type=FILE, envvar="LBCTL_AGENT_KEY_FILE", help="Its private key.")
@click.option("--ca-file", required=True, type=FILE, envvar="LBCTL_AGENT_CA_FILE", help="The authority of all of their certificates.")
@click.option("--state", default="/var/lib/lbctl/agent", type=click.Path(path_type=Path), envvar="LBCTL_AGENT_STATE", show_default=True,
              help="The last decision is remembered beside this name.")
def agent(_: Globals, addresses: tuple[tuple[str, str], ...], listen: tuple[str, int], peers: tuple[tuple[str, int], ...],
          controllers: tuple[str, ...], cert_file: Path, key_file: Path, ca_file: Path, state: Path) -> None:
    """Holds a virtual address here while the controller lends it. Needs CAP_NET_ADMIN and CAP_NET_RAW, nothing else."""
    logs.setup()
    try:
        factory = importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(Settings(listen, Files(cert_file, key_file, ca_file), addresses, state, controllers, peers)))
    except ssl.SSLError as error:
        raise Failure(1, f"the certificates cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise Failure(1, str(error)) from None
