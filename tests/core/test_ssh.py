"""Trust by exchanged keys, and who gets what over SSH (G-SSH, G-CLI); with asyncssh and with the OpenSSH client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from lbctl.core.client import Login, Unreachable, run
from lbctl.core.faults import Fault
from lbctl.core.node import Node
from lbctl.core.trust import USER, NotTrusted
from lbctl.core.users import ADMIN_KEY
from tests.core.cores import pair, running, settings, trust, until

ADMIN_ALONE = {"enabled": True, "mode": "Secondary"}


def login(node: Node, **more: Any) -> Login:
    """As the owner of the Core's directory."""
    given = {"key_file": node.settings.directory / ADMIN_KEY, "host_key": node.trust.local_key, **more}
    return Login("127.0.0.1", node.endpoints()["ssh"].port, "admin", **given)


async def typed(node: Node, line: str, **more: Any) -> tuple[int, list[str]]:
    """Exit code and output of one line in the exec form."""
    lines: list[str] = []
    secret = more.pop("secret", "")
    return await run(login(node, **more), line, lines.append, secret=secret), lines


def connecting(node: Node, **options: Any) -> Any:
    base: Mapping[str, Any] = {
        "username": "admin", "client_keys": None, "agent_path": None, "config": [], "x509_trusted_certs": None,
        "known_hosts": ([asyncssh.import_public_key(node.trust.local_key)], [], []),
    }
    return asyncssh.connect("127.0.0.1", node.endpoints()["ssh"].port, **{**base, **options})


async def test_after_the_exchange_test_connection_is_successful_on_both_sides(tmp_path: Path) -> None:
    """G-SSH, G-TP task 1: 8443, 443 and 22."""
    async with pair(tmp_path) as (a, b):
        for node, peer in ((a, "core-b"), (b, "core-a")):
            tested = await node.connectivity.test("127.0.0.1")
            assert tested.message == "Test was successful"
            assert [check.name.split()[0] for check in tested.checks] == ["443", "8443", "22"]
            assert tested.peer is not None
            assert tested.peer.name == peer


async def test_trust_in_one_direction_only_is_told(tmp_path: Path) -> None:
    """G-SSH: the key that was not exchanged is found by Test Connection, and it names the port."""
    ha = {"enabled": True}
    async with running(settings(tmp_path, "core-a", ha=ha)) as a, running(settings(tmp_path, "core-b", ha=ha)) as b:
        assert "not a trusted host" in (await a.connectivity.test("127.0.0.1")).checks[0].detail
        trust(a, b)
        tested = await a.connectivity.test("127.0.0.1")
        assert not tested.ok
        assert tested.message.startswith("Test failed: 22 (")


@pytest.mark.parametrize(("fault", "failed"), [(Fault.REFUSE, ["443", "8443"]), (Fault.STOPPED, ["443", "8443", "22"])], ids=["https", "all"])
async def test_a_port_that_does_not_answer_fails_the_test_by_name(tmp_path: Path, fault: Fault, failed: list[str]) -> None:
    async with pair(tmp_path) as (a, b):
        await b.set_fault(fault)
        tested = await a.connectivity.test("127.0.0.1")
        assert [check.name.split()[0] for check in tested.checks if not check.ok] == failed


async def test_a_host_that_shows_another_key_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """G-SSH: an impostor on the Primary's address."""
    async with pair(tmp_path) as (a, b), running(settings(tmp_path, "impostor")) as impostor:
        ports = {name: endpoint.port for name, endpoint in impostor.endpoints().items()}
        b.trust.add("127.0.0.1", a.trust.local_key, **ports)
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await b.trust.connect("127.0.0.1", 22)
        run_ = await b.run_sync("127.0.0.1", "test")
        assert run_.result == "Failed"
        assert impostor.log.tail("SSH") == []


async def test_a_host_that_is_not_trusted_is_not_even_called(tmp_path: Path) -> None:
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE)) as b:
        with pytest.raises(NotTrusted):
            await b.trust.connect("192.0.2.1", 22)


async def test_a_key_that_was_not_exchanged_gets_nothing(tmp_path: Path) -> None:
    """G-SSH: neither as `replicate` nor as an administrator; neither does a trusted host's key under an administrator's name."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    async with pair(tmp_path) as (a, b):
        for user, key in ((USER, stranger), ("admin", stranger), ("root", stranger), ("admin", b.trust.key)):
            with pytest.raises(asyncssh.PermissionDenied):
                await connecting(a, username=user, client_keys=[key])
        a.trust.remove("127.0.0.1")
        with pytest.raises(asyncssh.PermissionDenied):
            await connecting(a, username=USER, client_keys=[b.trust.key])


@pytest.mark.parametrize("command", ["show version", "enable; failover mode secondary", "replicate; ls", "sh", None], ids=str)
async def test_a_trusted_hosts_key_opens_replication_and_nothing_else(tmp_path: Path, command: str | None) -> None:
    """G-SSH: a key restricted to replication: no command line, no shell, no terminal, no forwarding, no file transfer."""
    async with pair(tmp_path) as (a, b), await connecting(a, username=USER, client_keys=[b.trust.key]) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process(command)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", a.endpoints()["https"].port)
        with pytest.raises((asyncssh.ChannelOpenError, asyncssh.SFTPError)):
            await connection.start_sftp_client()
        with pytest.raises((asyncssh.ChannelListenError, asyncssh.ChannelOpenError)):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 22)
        assert a.role.mode == "Primary"
        done = await connection.run("facts", check=True)
        assert json.loads(str(done.stdout))["name"] == "core-a"


async def test_an_administrator_logs_in_with_the_password_and_a_wrong_one_gets_nothing(tmp_path: Path) -> None:
    """G-CLI. The name `replicate` never opens with a password."""
    async with running(settings(tmp_path, "core-a")) as a:
        password = (a.settings.directory / "admin-password").read_text().strip()
        assert (await typed(a, "show version", key_file=None, password=password))[0] == 0
        for user, wrong in (("admin", "wrong"), ("nobody", password), (USER, password)):
            with pytest.raises(asyncssh.PermissionDenied):
                await connecting(a, username=user, password=wrong)
        assert password not in "\n".join(a.log.tail("SSH"))


async def test_a_client_that_knows_another_host_key_does_not_log_in(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b):
        with pytest.raises(Unreachable, match="host key"):
            await typed(a, "show version", host_key=b.trust.local_key)


async def test_the_exec_form_asks_for_enable_as_the_interactive_one_does(tmp_path: Path) -> None:
    """G-CLI: the commands live under enable mode."""
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE)) as b:
        code, lines = await typed(b, "failover mode primary")
        assert (code, b.role.state) == (3, "Standby")
        assert "enable" in lines[0]
        assert (await typed(b, "enable; failover mode primary"))[0] == 0
        assert b.role.state == "Active"


async def test_enable_asks_for_its_secret_where_there_is_one(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE, admin={"enable_secret_file": secret})) as b:
        assert (await typed(b, "enable; failover mode primary", secret="wrong"))[0] == 3
        assert b.role.standby
        assert (await typed(b, "enable; failover mode primary", secret="open sesame"))[0] == 0
        assert not b.role.standby


async def test_the_interactive_form_on_a_terminal(tmp_path: Path) -> None:
    """G-CLI: prompt, enable, a wrong word, help, exit."""
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE)) as b, await connecting(
        b, client_keys=[str(b.settings.directory / ADMIN_KEY)],
    ) as connection:
        process = await connection.create_process(term_type="xterm")
        seen = ""
        for line, expected in (("failover mode primary", "needs enable mode"), ("enable", "core-b#"), ("bogus", "Invalid input"),
                               ("fail mode prim", "State: Active"), ("?", "failover sync <host>")):
            process.stdin.write(line + "\n")
            async with asyncio.timeout(20):
                while expected not in seen:
                    seen += await process.stdout.read(4096)
        process.stdin.write("exit\n")
        assert (await process.wait()).exit_status == 0
        assert "core-b>" in seen
        assert b.role.state == "Active"


async def test_the_enable_secret_is_not_echoed_on_a_terminal(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE, admin={"enable_secret_file": secret})) as b, connecting(
        b, client_keys=[str(b.settings.directory / ADMIN_KEY)],
    ) as connection:
        process = await connection.create_process(term_type="xterm")
        seen = ""
        for line, expected in (("enable", "Password:"), ("open sesame", "core-b#")):
            process.stdin.write(line + "\n")
            async with asyncio.timeout(20):
                while expected not in seen:
                    seen += await process.stdout.read(4096)
        assert "sesame" not in seen


async def test_a_sync_goes_on_when_the_administrator_who_began_it_leaves(tmp_path: Path) -> None:
    """G-SY3: `failover sync` is Run Sync Now; closing the window does not stop it."""
    async with pair(tmp_path) as (a, b):
        await a.replication.database.insert("devices", [{"uuid": f"device-{n}", "model": "x" * 200} for n in range(20_000)])
        async with connecting(b, client_keys=[str(b.settings.directory / ADMIN_KEY)]) as connection:
            await connection.create_process("enable; failover sync 127.0.0.1")
            await until(lambda: b.replication.progress, "the transfer")
            connection.abort()
        await until(lambda: not b.replication.running, "the end of the sync")
        last = await b.replication.history.last()
        assert last is not None
        assert (last.result, await b.replication.database.count("devices")) == ("Success", 20_000)


@pytest.mark.peer("ssh")
async def test_the_openssh_client_works_too(tmp_path: Path) -> None:
    """G-SSH, G-CLI: exec form, exit code, and a script piped into the interactive form."""
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE)) as b:
        known = tmp_path / "known_hosts"
        port = b.endpoints()["ssh"].port
        known.write_text(f"[127.0.0.1]:{port} {b.trust.local_key}\n")
        base = ["ssh", "-F", "none", "-p", str(port), "-i", str(b.settings.directory / ADMIN_KEY), "-o", f"UserKnownHostsFile={known}",
                "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "admin@127.0.0.1"]

        async def openssh(*words: str, script: bytes = b"") -> tuple[int | None, str]:
            process = await asyncio.create_subprocess_exec(*base, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            out, _ = await process.communicate(script)
            return process.returncode, out.decode()

        code, out = await openssh("enable; failover mode primary; show failover status json")
        assert code == 0
        assert json.loads(out.splitlines()[-1])["shown_mode"] == "Primary"
        assert (await openssh("failover mode secondary"))[0] == 3
        code, out = await openssh(script=b"enable\nfailover mode secondary\nexit\n")
        assert (code, b.role.state) == (0, "Standby")
        assert "State: Standby" in out


async def test_a_stopped_core_closes_ssh_and_opens_it_again_on_the_same_port(tmp_path: Path) -> None:
    async with running(settings(tmp_path, "core-b", ha=ADMIN_ALONE)) as b:
        await b.set_fault(Fault.STOPPED)
        with pytest.raises(Unreachable):
            await typed(b, "show version")
        await b.set_fault(Fault.NONE)
        assert (await typed(b, "show version"))[0] == 0
