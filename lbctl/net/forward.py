"""What this host passes on: connections to the address go to the active member, by nftables.

One table of lbctl's own for each address, replaced as a whole in one transaction: there is no moment with half of the rules, and nothing of
anybody else's is touched. Replies come back through this host (masquerade). Connections that were made to a member that is no longer the
active one are cut with a reset at their next packet, instead of hanging until their own end; this too holds from the same instant.

The rules serve only while this host has the address (`fib daddr type local`). So they end when its lifetime in the kernel does, without a
process to take them away: a neighbour that has missed the announcement of the next holder is not led to where this host was told to last.
The kernel is also the memory: the target and the epoch are read back from the rule itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.errors import ActuatorError
from lbctl.net.nft import NOT_THERE, Nft
from lbctl.net.packets import Address

RULES = """
table inet {table} {{}}
delete table inet {table}
table inet {table} {{
  chain early {{
    type filter hook prerouting priority raw; policy accept;
    {ip} daddr {vip} fib daddr type != local drop
  }}
  chain arriving {{
    type nat hook prerouting priority dstnat; policy accept;
    {ip} daddr {vip} tcp dport {{ {ports} }} dnat {ip} to {target} comment "epoch={epoch}"
  }}
  chain local {{
    type nat hook output priority -100; policy accept;
    {ip} daddr {vip} tcp dport {{ {ports} }} dnat {ip} to {target}
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    ct original {ip} daddr {vip} {ip} daddr {target} masquerade
  }}
  chain cut {{
    type filter hook forward priority -10; policy accept;
    ct original {ip} daddr {vip} ct direction original {ip} daddr != {target} meta l4proto tcp reject with tcp reset
    ct original {ip} daddr {vip} ct direction original {ip} daddr != {target} drop
    ct original {ip} daddr {vip} ct direction reply {ip} saddr != {target} drop
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Passed:
    """Where connections go now, and by which decision."""

    target: str
    epoch: int | None


class Forward:
    """The rules of one address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._nft = Nft()
        self._table = "lbctl_" + re.sub(r"[^0-9a-f]", "_", str(address))
        family = "ipv4/ip_forward" if address.version == 4 else "ipv6/conf/all/forwarding"
        self._switch = Path("/proc/sys/net") / family

    def apply(self, target: str, ports: Sequence[int], epoch: int) -> None:
        """Passes these ports to `target` from now on. ActuatorError: as `ready`, and `nft` with what it says."""
        self.ready()
        ip = "ip" if self._address.version == 4 else "ip6"
        listed = ", ".join(str(port) for port in ports)
        self._nft.run(RULES.format(table=self._table, ip=ip, vip=self._address, ports=listed, target=target, epoch=epoch))

    def ready(self) -> None:
        """ActuatorError where this host could not: `forwarding-off` (where that can be seen), `nft` (it is not installed)."""
        if self._off():
            name = str(self._switch.relative_to("/proc/sys")).replace("/", ".")
            raise ActuatorError("forwarding-off", "this host passes nothing on", hint=f"sysctl -w {name}=1", temporary=False)
        self._nft.ready()

    def _off(self) -> bool:
        """Whether this host passes nothing on; a hardened unit may not see it (ProcSubset=pid)."""
        try:
            return self._switch.read_text().strip() == "0"
        except OSError:
            return False

    def end(self) -> None:
        """Passes nothing on any more."""
        self._nft.run(f"table inet {self._table} {{}}\ndelete table inet {self._table}\n")

    def read(self) -> Passed | None:
        """Where connections go; None: there are no rules. ActuatorError where they cannot be read."""
        try:
            listed = json.loads(self._nft.json(f"list table inet {self._table}"))
        except ValueError as error:
            raise ActuatorError("nft", f"nft prints no JSON: {error}") from error
        except ActuatorError as error:
            if error.reason == NOT_THERE:
                return None
            raise
        rules = (item.get("rule", {}) for item in listed.get("nftables", ()))
        return next((_passed(rule) for rule in rules if rule.get("chain") == "arriving"), None)

    def close(self) -> None:
        """Changes nothing that is set."""
        self._nft.close()


def facing(address: Address | str, candidates: Sequence[str]) -> str:
    """The one among a member's addresses that can be reached by the virtual address's own family. ActuatorError without one."""
    for text in candidates:
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(text).version == ipaddress.ip_address(address).version:
                return text
    version = ipaddress.ip_address(address).version
    raise ActuatorError("family", f"the active member has no IPv{version} address to pass {address} on to", temporary=False)


def _passed(rule: dict[str, Any]) -> Passed | None:
    found = [part["dnat"]["addr"] for part in rule.get("expr", ()) if "dnat" in part]
    epoch = re.fullmatch(r"epoch=(\d+)", rule.get("comment", ""))
    return Passed(str(found[0]), int(epoch[1]) if epoch else None) if found else None
