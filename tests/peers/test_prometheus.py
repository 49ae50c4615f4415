"""Real Prometheus and Alertmanager: what /metrics says becomes a page at a webhook, and its end too (issue 5, item 4)."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from tests.dashboard.real import real
from tests.notifiers.sinks import web_server

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
DEADLINE_S = 90.0


@dataclass
class Exporter:
    """Serves what a test says lbctl's metrics are, and takes Alertmanager's webhooks."""

    port: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def text(self) -> str:
        return "".join(f"{name} {value}\n" for name, value in self.metrics.items())

    def told(self, alert: str, status: str) -> bool:
        """A webhook said so."""
        return any(one["labels"]["alertname"] == alert and one["status"] == status for one in self.alerts)


@asynccontextmanager
async def exporter() -> AsyncIterator[Exporter]:
    """The other end of both programs."""
    made = Exporter()

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(text=made.text())

    async def take(request: web.Request) -> web.Response:
        made.alerts += (await request.json())["alerts"]
        return web.Response()

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    app.router.add_post("/page", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def program(name: str, *arguments: str, ready: str, log: Path) -> AsyncIterator[None]:
    """A Debian program on loopback until the test ends; ready when its URL answers."""
    path = shutil.which(name)
    assert path, f"apt-get install {name}"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(path, *arguments, stdout=output, stderr=output)
    try:
        await until(lambda: answers(ready), f"{name} ready: {log}", process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def until(condition: Any, what: str, process: asyncio.subprocess.Process | None = None) -> None:
    """Polls; a slow machine only makes it later."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                assert process is None or process.returncode is None, f"it ended: {what}"
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


@asynccontextmanager
async def alertmanager(folder: Path, webhook_port: int) -> AsyncIterator[int]:
    """Our example configuration, with the test's webhook and no waiting."""
    config = yaml.safe_load((PROMETHEUS / "alertmanager.example.yml").read_text())
    config["route"].update({"group_wait": "0s", "group_interval": "1s"})
    config["receivers"][0]["webhook_configs"][0]["url"] = f"http://127.0.0.1:{webhook_port}/page"
    config["receivers"][1] = {"name": "tickets"}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    async with program(
        "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}", ready=f"http://127.0.0.1:{port}/-/ready", log=folder / "alertmanager.log",
    ):
        yield port


@asynccontextmanager
async def prometheus(folder: Path, target_port: int, alertmanager_port: int) -> AsyncIterator[str]:
    """Our example configuration and our rules, on a one-second clock."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.example.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(PROMETHEUS / "lbctl.rules.yml")]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target_port}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    async with program(
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/series", f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=1h", ready=f"http://127.0.0.1:{port}/-/ready", log=folder / "prometheus.log",
    ):
        yield f"http://127.0.0.1:{port}"


async def scraped(url: str) -> bool:
    """Prometheus has seen the series of the exporter twice."""
    query = {"query": "count_over_time(lbctl_failovers_total[1m]) >= 2"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/query", params=query) as answer:
        return bool(json.loads(await answer.text())["data"]["result"])


@pytest.mark.peer("prometheus")
async def test_a_failover_reaches_the_webhook_of_the_people_on_call_and_its_neighbours_do_not(tmp_path: Path) -> None:
    """The primary is killed: a page for the automatic move, with the service's name; none for the same move by an operator on another service."""
    async with exporter() as lbctl, alertmanager(tmp_path, lbctl.port) as alerts_port:
        auto = 'lbctl_failovers_total{service="core",from="core-a",to="core-b",trigger="auto"}'
        planned = 'lbctl_failovers_total{service="web",from="web-a",to="web-b",trigger="operator"}'
        returned = 'lbctl_alert{service="core",alert="OldPrimaryReturned"}'
        lbctl.metrics.update({auto: 0, planned: 0, returned: 0, 'lbctl_service_state{service="core",state="failed-over"}': 0})
        async with prometheus(tmp_path, lbctl.port, alerts_port) as url:
            await until(lambda: scraped(url), "the second scrape: `increase` needs something to compare with")
            began = time.monotonic()
            lbctl.metrics.update({auto: 1, planned: 1, 'lbctl_service_state{service="core",state="failed-over"}': 1})
            await until(lambda: lbctl.told("Failover", "firing"), "the page")
            print(f"change of the metric to page at the webhook: {time.monotonic() - began:.1f} s")
            page = next(one for one in lbctl.alerts if one["labels"]["alertname"] == "Failover")
            assert page["labels"]["service"] == "core" and page["labels"]["severity"] == "page"
            assert page["annotations"]["summary"] == "core: traffic moved from core-a to core-b by itself"
            lbctl.metrics[returned] = 1
            await until(lambda: lbctl.told("OldPrimaryReturned", "firing"), "the old primary's return")
            began = time.monotonic()
            lbctl.metrics[returned] = 0
            await until(lambda: lbctl.told("OldPrimaryReturned", "resolved"), "its end")
            print(f"end of the trouble to its resolution at the webhook: {time.monotonic() - began:.1f} s")
            assert {one["labels"].get("service") for one in lbctl.alerts} == {"core"}


@pytest.mark.peer("prometheus")
async def test_a_killed_primary_pages_through_the_whole_chain_and_lbctls_own_webhook_says_why(tmp_path: Path) -> None:
    """Real lbctl, real Prometheus, real Alertmanager: kill the primary, and both ways to the people on call ring."""
    async with exporter() as people, web_server() as hook, alertmanager(tmp_path, people.port) as alerts_port:
        (tmp_path / "secret").write_text("s3cret")
        notify = f"notify: [{{webhook: {{url: '{hook.url}', secret_file: {tmp_path}/secret}}}}]"
        async with real(tmp_path, notify) as lbctl, prometheus(tmp_path, int(lbctl.url.rpartition(":")[2]), alerts_port) as url:
            await until(lambda: scraped(url), "the second scrape")
            began = time.monotonic()
            await lbctl.a.stop()
            await until(lambda: people.told("Failover", "firing"), "the page by Alertmanager")
            print(f"primary killed to page at the webhook: {time.monotonic() - began:.1f} s")
            page = next(one for one in people.alerts if one["labels"]["alertname"] == "Failover")
            assert (page["labels"]["from"], page["labels"]["to"], page["labels"]["trigger"]) == ("core-a", "core-b", "auto")
            await until(lambda: any(b'"moved"' in content for _, content in hook.requests), "lbctl's own notice")
        moved = next(told for told in (json.loads(content) for _, content in hook.requests) if told["kind"] == "moved")
        assert moved["severity"] == "page" and "core-a" in moved["what"] and moved["undo"].startswith("lbctl resume core")
