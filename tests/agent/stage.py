"""Two or three hosts with agents as processes of their own, a controller's host, and certificates for all of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ipaddress
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lbctl.actuators.vip import Settings
from lbctl.actuators.vip_agents import VipAgents
from lbctl.clock import SystemClock
from lbctl.net.trust import Files
from tests.netns import Host, Network, network

V4 = "10.77.0.99"
PORT = 9654
PATIENCE_S = 60.0


class Authority:
    """Gives certificates for addresses."""

    def __init__(self, directory: Path, name: str = "vip") -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = directory / f"{name}-ca.pem"
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = self._build(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        self._write(self.file, made)

    def files(self, name: str, *addresses: str) -> Files:
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses] or [x509.DNSName(name)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        found = Files(self.directory / f"{name}.crt", self.directory / f"{name}.key", self.file)
        self._write(found.cert, self._build(subject, key).add_extension(alternative, False).add_extension(usage, False))
        found.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return found

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key()).serial_number(
            x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).add_extension(identifier, False)

    def _write(self, file: Path, made: x509.CertificateBuilder) -> None:
        file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def spki_pin(files: Files) -> str:
    """As `openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256sum` has it."""
    public = x509.load_pem_x509_certificate(files.cert.read_bytes()).public_key()
    return "sha256:" + hashlib.sha256(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class AgentProcess:
    """`lbctl agent` on a host."""

    def __init__(self, host: Host, files: Files, directory: Path, controllers: Sequence[str] = ("controller",)) -> None:
        self.host, self.files, self._directory, self.controllers = host, files, directory, list(controllers)
        self.process: subprocess.Popen[bytes] | None = None
        self.peers: list[str] = []
        self.program = [sys.executable, "-m", "lbctl.cli"]
        self.log = directory / f"{host.ip4}.log"

    def start(self) -> None:
        words = [*self.program, "agent", "--address", f"{V4}/32@eth0", "--listen", self.host.ip4, "--state", str(self._directory / self.host.ip4),
                 "--cert-file", str(self.files.cert), "--key-file", str(self.files.key), "--ca-file", str(self.files.ca)]
        words += [word for peer in self.peers for word in ("--peer", peer)]
        words += [word for name in self.controllers for word in ("--controller", name)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.host.command(*words), stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def holds(self) -> bool:
        return self.host.has(V4)


class Stage:
    """Hosts a and b with agents that know each other, a controller's host, a client's."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net, self.directory = net, directory
        self.control, self.client = net.host("control"), net.host("client")
        self.authority = Authority(directory)
        hosts = {name: net.host(name) for name in ("a", "b")}
        self.agents = {name: AgentProcess(host, self.authority.files(name, host.ip4), directory) for name, host in hosts.items()}
        self.a, self.b = self.agents["a"], self.agents["b"]
        self.a.peers, self.b.peers = [self.b.host.ip4], [self.a.host.ip4]
        self.files = self.authority.files("controller")

    def settings(self, lease_s: float = 2.0, files: Files | None = None) -> Settings:
        files = files or self.files
        agents = {name: (agent.host.ip4, PORT) for name, agent in self.agents.items()}
        return Settings(f"{V4}/32", "eth0", lease_s, agents=agents, cert_file=files.cert, key_file=files.key, ca_file=files.ca)

    def controller(self, lease_s: float = 2.0, files: Files | None = None, state: str = "state.db") -> VipAgents:
        """An actuator; the calling thread has to be on the controller's host. One of the same state is the same controller in another life."""
        return VipAgents(self.settings(lease_s, files), SystemClock(), self.directory / state)

    async def start(self) -> None:
        for agent in self.agents.values():
            agent.start()
        await self.until(lambda: all("ready" in agent.log.read_text() for agent in self.agents.values()), "the agents are not ready")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{what}\n{self.a.log.read_text()[-2000:]}\n{self.b.log.read_text()[-2000:]}")

    @property
    def holders(self) -> str:
        """The names of the hosts whose kernel has the address."""
        return "".join(name for name, agent in self.agents.items() if agent.holds)

    def close(self) -> None:
        for agent in self.agents.values():
            agent.stop()


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """The calling thread is on the controller's host."""
    with network() as net:
        made = Stage(net, directory)
        try:
            with made.control.inside():
                yield made
        finally:
            made.close()
