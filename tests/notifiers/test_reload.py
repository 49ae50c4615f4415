"""Other ways to tell people, taken up by a reload of a whole lbctl."""

from __future__ import annotations

from pathlib import Path

from lbctl.model.commands import Code
from tests.dashboard.real import FILE, real
from tests.notifiers.sinks import mail_server, until, web_server


async def test_a_reload_takes_other_ways_to_tell_people_and_the_next_failover_goes_there(tmp_path: Path) -> None:
    async with mail_server() as before, web_server() as after:
        mail = f"notify: [{{email: {{to: ops@example.com, host: 127.0.0.1, port: {before.port}, security: none, at_least: page}}}}]"
        async with real(tmp_path, mail) as lbctl:
            assert lbctl.app.notices.ids == ("email:ops@example.com",)
            hook = f"notify: [{{webhook: {{url: '{after.url}', at_least: page}}}}]"
            (tmp_path / "lbctl.yaml").write_text(FILE.format(path=tmp_path, a=lbctl.a.url, b=lbctl.b.url, more=hook, port=0, tls=""))
            reply = await lbctl.app.reload("test")
            assert reply.code is Code.DONE and lbctl.app.notices.ids == ("webhook:127.0.0.1",)
            await lbctl.a.stop()
            await until(lambda: any(b'"moved"' in content for _, content in after.requests), "the notice by the new way", 60)
        assert before.messages == []
