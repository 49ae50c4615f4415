"""What is between the hosts: rules on the bridge that come and go one by one, each under a handle, all in one atomic ruleset."""

from __future__ import annotations

import itertools
import subprocess

from tests.netns import Host, Network

TABLE = "chaos"


class Wire:
    """No host is told of what happens on the wire; a guard on a host answers for itself."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._numbers = itertools.count(1)
        self._rules: dict[int, list[str]] = {}
        self._guards: dict[int, Host] = {}
        self._write()

    def drop(self, source: Host, target: Host, *, both: bool) -> int:
        """Nothing gets through, one way or both."""
        return self._add(source, target, both, "drop")

    def lose(self, percent: int, one: Host, other: Host) -> int:
        """So many of the packets are lost at random, each way."""
        return self._add(one, other, True, f"numgen random mod 100 < {percent} drop")

    def reject(self, host: Host, source: Host, how: str) -> int:
        """The firewall of `host` turns away what comes from `source` over TCP, and says so."""
        number = next(self._numbers)
        rule = f"ip saddr {source.ip4} meta l4proto tcp reject with {how}"
        host.run("nft", "-f", "-", given=f"table inet guard{number} {{\nchain in {{\ntype filter hook input priority 0;\n{rule}\n}}\n}}\n")
        self._guards[number] = host
        return number

    def mend(self, number: int) -> None:
        """Takes one rule away; one that is gone already is no error."""
        if host := self._guards.pop(number, None):
            host.run("nft", "delete", "table", "inet", f"guard{number}")
        elif self._rules.pop(number, None):
            self._write()

    def mend_all(self) -> None:
        for number in [*self._guards, *self._rules]:
            self.mend(number)

    def _add(self, source: Host, target: Host, both: bool, verdict: str) -> int:
        number = next(self._numbers)
        ways = [(source, target), (target, source)] if both else [(source, target)]
        self._rules[number] = [f"ip saddr {one.ip4} ip daddr {other.ip4} {verdict}" for one, other in ways]
        self._write()
        return number

    def _write(self) -> None:
        rules = "\n".join(rule for rules in self._rules.values() for rule in rules)
        text = (f"table bridge {TABLE}\ndelete table bridge {TABLE}\n"
                f"table bridge {TABLE} {{\nchain between {{\ntype filter hook forward priority 0;\n{rules}\n}}\n}}\n")
        done = subprocess.run(["ip", "netns", "exec", self._net.name, "nft", "-f", "-"], input=text, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, (text, done.stderr)
