"""A service that is taken out of the file: its name answers until a reload that names it was allowed, and not a moment longer (H37)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest
import yaml

from tests.core.cores import hosts
from tests.dns.served import run
from tests.outside.site import ASK_S, PATIENCE_S, POLL_S, Lbctl

PORT = 7443
ZONE = "gtm.example.com"


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def written(folder: Path, host: str, serving: str, *services: str) -> Path:
    """One serving member a service; the embedded server answers for all of them."""
    made: dict[str, Any] = {
        name: {"monitor": {"tcp": {}}, "probe": {"profile": "standard"},
               "members": [{"name": f"{name}-1", "role": "primary", "address": serving, "url": f"tcp://{serving}:{PORT}"}],
               "actuators": [{"authoritative": {"name": f"{name}.{ZONE}", "ttl": 5}}]}
        for name in services
    }
    config = {"controller": {"state": str(folder / "state.db")}, "api": {"socket": str(folder / "lbctl.sock"), "listen": []},
              "authoritative": {"listen": [f"{host}:5300"], "zones": {ZONE: {"ns": {f"ns1.{ZONE}": host}}}}, "services": made}
    (folder / "lbctl.yaml").write_text(yaml.safe_dump(config))
    return folder / "lbctl.yaml"


async def answer(host: str, name: str, patience_s: float = ASK_S) -> str:
    """What a client is told: addresses, the reply's code, or `silence` before lbctl listens."""
    try:
        reply = await dns.asyncquery.udp(dns.message.make_query(f"{name}.{ZONE}", "A"), host, port=5300, timeout=patience_s)
    except (dns.exception.Timeout, OSError):
        return "silence"
    return ",".join(item.address for found in reply.answer for item in found) or dns.rcode.to_text(reply.rcode())


async def until_answer(host: str, name: str, wanted: str) -> None:
    seen = ""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while seen != wanted:
                seen = await answer(host, name, POLL_S)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{name}: {wanted} was never told; last: {seen}") from None


@pytest.mark.peer("dig")
async def test_a_removed_service_answers_until_the_reload_that_names_it_is_allowed(tmp_path: Path) -> None:
    host, serving = hosts(2)
    server = await asyncio.start_server(_greet, serving, PORT)
    lbctl = Lbctl(written(tmp_path, host, serving, "core", "sentry"))
    try:
        await lbctl.start()
        await asyncio.gather(until_answer(host, "core", serving), until_answer(host, "sentry", serving))
        written(tmp_path, host, serving, "core")
        code, text = await lbctl.say("plan", str(lbctl.file))
        assert code == 0 and f"sentry: removed; authoritative:sentry.{ZONE} goes" in text, text
        code, text = await lbctl.say("reload")
        assert code == 3 and f"authoritative:sentry.{ZONE} goes" in text, text
        assert await answer(host, "sentry") == serving, "a refused reload takes nothing away"
        code, text = await lbctl.say("reload", "--allow-switch")
        assert code == 0, text
        dig = ("dig", f"@{host}", "-p", "5300", "+noall", "+comments")
        for question in ((f"sentry.{ZONE}", "A"), (f"sentry.{ZONE}", "A", "+tcp"), (f"_lbctl.sentry.{ZONE}", "TXT")):
            assert "NXDOMAIN" in await run(*dig, *question), question
        assert await answer(host, "core") == serving
        await lbctl.end()
        await lbctl.start()
        await until_answer(host, "core", serving)
        assert await answer(host, "sentry") == "NXDOMAIN", "nor does the copy of the last answers bring it back"
        await taken_back(lbctl, host, serving)
    finally:
        await lbctl.close()
        server.close()


async def taken_back(lbctl: Lbctl, host: str, serving: str) -> None:
    """The service comes back into the file: it goes by what is remembered of it, which takes nothing from anybody where nothing is published."""
    written(lbctl.file.parent, host, serving, "core", "sentry")
    code, text = await lbctl.say("reload")
    assert code == 0, text
    await until_answer(host, "sentry", serving)
    code, text = await lbctl.say("-o", "json", "status", "sentry")
    assert code == 0 and '"epoch": 1' in text, text
