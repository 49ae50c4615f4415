"""What the manual and the runbooks tell people to type, in the states that they speak of: scenes that are played on a host (test_commands.py).

A line is a command as it stands in the manual. Before it may stand the exit codes that are right there (`3: `, `0,6: `; without: 0), or `for 3s: `
for one that goes on until Ctrl-C. A line with `!` is a direction: a method of `Stage`. SERVICE is core, MEMBER and ID are what the direction before
says. Behind `=>` stands what must be printed.
"""

from __future__ import annotations

NEW_HOST = """
! brings
sudo apt install ./dist/lbctl_*.deb => write /etc/lbctl/lbctl.yaml
lbctl version => lbctl
! cores
sudo cp /usr/share/doc/lbctl/examples/gtm-two-cores.yaml /etc/lbctl/lbctl.yaml
sudoedit /etc/lbctl/lbctl.yaml
sudo lbctl check => valid, 2 services
lbctl check /etc/lbctl/lbctl.yaml => valid, 2 services
3,1: sudo systemctl start lbctl
sudo systemctl stop lbctl
sudo systemctl edit lbctl-dns.socket
sudo systemctl enable --now lbctl-dns.socket
sudo systemctl start lbctl
! settled
sudo lbctl status => core
systemctl status lbctl => active (running)
systemctl status lbctl-dns.socket => active
journalctl -u lbctl -n 100 => ready
curl -s http://127.0.0.1:9653/livez => alive
"""

LAYOUTS = """
lbctl check configs/gtm-two-cores.yaml => valid, 1 service
lbctl check configs/gtm-three-cores.yaml => valid
lbctl check configs/datacenter-cores-and-sentries.yaml => valid
lbctl check configs/site-main.yaml => valid
lbctl check configs/site-recovery.yaml => valid
lbctl check configs/global.yaml => valid
! f5-file
lbctl import-f5 bigip_gtm.conf --to lbctl.yaml => lbctl does not steer by the client
lbctl check lbctl.yaml => valid
"""
"""Needs no running lbctl: layouts, and the file that F5 leaves."""

SOURCE = """
! alone
cp configs/gtm-two-cores.yaml lbctl.yaml
! own-addresses lbctl.yaml
.venv/bin/lbctl check lbctl.yaml => valid
.venv/bin/lbctl version => lbctl
for ever: sudo .venv/bin/lbctl -c lbctl.yaml run
! settled
sudo .venv/bin/lbctl -c lbctl.yaml status core => core is normal
sudo .venv/bin/lbctl -c lbctl.yaml explain core => If core-a failed now
"""
"""The first page's five minutes, with the program of a checkout, on the host's own Cores."""

DAYS = """
lbctl status => core-a
lbctl status core => core is normal
for 3s: lbctl status core --watch
lbctl explain core => If core-a failed now, traffic would move to core-b
lbctl explain core --to core-b => core-b is ready and waits only for the active member to fail
lbctl history core
lbctl history core --last 10 => core
for 3s: lbctl events --follow
lbctl --help => switchover
lbctl VERB --help => --exit-code
lbctl status --exit-code => OK: core normal
lbctl check --schema => "properties"
lbctl check --schema > lbctl.schema.json
1: lbctl probe https://core-a.example.com => unable to get local issuer certificate
lbctl probe https://core-a.example.com --ca-file /etc/lbctl/cores-ca.pem => hastatus: primary
lbctl probe core/core-a => status: ok
lbctl cluster
lbctl readiness core => would take over
! own-addresses /etc/lbctl/new.yaml
lbctl replay core --set fall=2
lbctl replay core --set min_outage=0s
lbctl replay core --since 2026-11-01T00:00Z --set min_outage=60s
lbctl replay --since 2026-11-01T00:00Z --with /etc/lbctl/new.yaml
lbctl notify test => delivered
lbctl audit verify => whole
lbctl -o json events --since 0 --last 1000 => "kind"
lbctl report core --since 2026-11-01
lbctl audit export --to journal.jsonl
lbctl audit export --since 4711
lbctl replay core --journal journal.jsonl --set min_outage=60s

lbctl switchover core --drive --reason "work on core-a" => switchover
! until active=core-b
lbctl resume core --drive => resume
! until active=core-a state=normal
lbctl switchover sentry --to sentry-2 --drain => sentry-2

0,6: lbctl failover core --to core-b --force --accept active-down --reason "the clients' path to … is dead"
! until active=core-b
! serves core-a
lbctl resume core => core-a
! until active=core-a state=normal

! dies core-a
! until active=core-b
lbctl status core => failed-over
3: lbctl resume core => primary-serving
! returns core-a
! serves core-a
lbctl resume core => core-a
! until active=core-a state=normal

lbctl check /etc/lbctl/lbctl.yaml => valid
lbctl plan /etc/lbctl/lbctl.yaml
lbctl reload => done
lbctl reload --allow-switch => done
sudo systemctl reload lbctl
"""

WAYS_BACK = """
! dies core-a
! until active=core-b
! on core-b: failover mode primary
! returns core-a
! on core-a: failover client-connection disable
! on core-a: failover mode secondary
! on core-a: failover sync 192.0.2.11
! on core-b: failover mode secondary
! on core-a: failover mode primary
! serves core-a
lbctl resume core --attest-synced --reason "synced back by hand" => core-a
! on core-a: failover client-connection enable
! until active=core-a state=normal

! dies core-a
! until active=core-b
! on core-b: failover mode primary
! returns core-a
! serves core-a
! on core-a: failover mode secondary
! stands-by core-a
! on core-a: failover sync 192.0.2.11
! stands-by core-a
lbctl swap-roles core --reason "stays here"
! until primary=core-b state=normal
lbctl status core => make core-b the primary in the configuration

! dies core-b
! asked
lbctl approvals => core-a
lbctl deny ID --reason "the network is being mended"
! returns core-b
! over
! until active=core-b state=normal
! dies core-b
! asked
0,6: lbctl approve ID --reason "core-a will not come back"
! until active=core-a
"""

BY_A_PERSON = """
lbctl maintenance on core --for 2h --reason "patches, CHG-1234"
lbctl maintenance list => CHG-1234
lbctl maintenance extend core --for 4h --reason "slow disk"
! dies core-a
! until state=down
lbctl maintenance off core => re-arming
lbctl explain core => armed: re-arming
lbctl maintenance on core --for 1h --reason "core-a does not start"
! until state=down
0,6: lbctl failover core --to core-b --reason "core-a is lost"
! until active=core-b
lbctl maintenance off core
lbctl ack core --reason "all checked"
! on core-b: failover mode primary
! returns core-a
! on core-a: failover mode secondary
! dies core-b
! until state=down
3: lbctl failover core --to core-a --reason "core-b is lost too" => re-synced
0,6: lbctl failover core --to core-a --reason "core-b is lost too, the loss since 02:00 is accepted" --force --accept re-synced
! until active=core-a

! on core-a: failover mode primary
! returns core-b
! on core-b: failover mode secondary
! on core-b: failover sync 192.0.2.10
lbctl hold core --reason "looking into the flapping"
lbctl release core
lbctl release --all --reason "common cause mended"
lbctl maintenance on --all --from 22:00 --until 23:30 --reason "network work"
lbctl maintenance list => network work
lbctl maintenance off core

! forgets
lbctl explain core => uninitialised
0,3: lbctl adopt core
! until active=core-a
! forgets everything
0,3: lbctl adopt core --member core-b --reason "checked on both Cores"
0,3: lbctl ack core --member core-a --reason "synced from core-b"
3: lbctl resume core => re-synced
lbctl resume core --attest-synced --reason "core-b was never promoted"

! until sentry active=sentry-1 state=normal
! configures role: secondary, address: 192.0.2.21 -> role: secondary, approval: manual, address: 192.0.2.21
! silent sentry-1
! asked sentry
0,6: lbctl approve ID
! until sentry active=sentry-2
! heard sentry-1
"""

NOT_KNOWN = """
! configures max_staleness: 90m -> max_staleness: 1s
! dies core-a
! until state=down
lbctl explain core --to core-b => fresh-enough: the last sync of core-b
3: lbctl failover core --to core-b --reason "core-a is lost" => refused by fresh-enough
0,6: lbctl failover core --to core-b --reason "core-a is lost, the copy of this morning is taken" --force --accept fresh-enough
! until active=core-b
! returns core-a
! serves core-a
lbctl resume core => core-a
! configures
! until active=core-a state=normal

! silent
! until state=blind
lbctl status => blind
2: lbctl status --exit-code => CRITICAL: core blind
3: lbctl failover core --to core-b --reason "its clients cannot reach core-a, core-b is well" --force --accept not-blind => refused by active-down
0,6: lbctl failover core --to core-b --reason "its clients …" --force --accept not-blind,active-down,candidate-standby
! heard
! forgets everything
! until active=core-a state=normal

! configures tls: {ca_file -> tls: {own_key: true, ca_file
! configures address: 192.0.2.10, -> address: 192.0.2.10, connect: 192.0.2.11,
lbctl explain core => no-stall: the newest look is void: wrong server: it shows the certificate key of core-b
1: lbctl probe core/core-a => certificate is not valid for '192.0.2.10'
3: lbctl failover core --to core-b --reason "the translation cannot be mended now" => also no-stall
0,6: lbctl failover core --to core-b --reason "core-a is dead, seen on its console" --force --accept active-down,no-stall
! until active=core-b
"""
"""What lbctl does not know it does not act on; people who know may."""

TWO_PRIMARIES = """
lbctl hold core --reason "looking into it"
! dies core-a
! until state=down
! on core-b: failover mode primary
! until state=stranded
lbctl release core
! asked
lbctl explain core => stranded
lbctl approvals => core-b
lbctl deny ID
lbctl failover core --to core-b --reason "promoted itself at 02:14, old primary is off"
! until active=core-b
! returns core-a
! on core-a: failover mode secondary
! stands-by core-a
! on core-a: failover sync 192.0.2.11
lbctl resume core --drive => core-a
! until active=core-a state=normal

! on core-b: failover mode primary
! until state=dual-primary
lbctl history core => dual-primary
3: lbctl failover core --to core-b --reason "core-b has the newest data" --force --accept not-dual-primary => also candidate-standby
0,6: lbctl failover core --to core-b --reason "core-b has the newest data" --force --accept not-dual-primary,active-down,candidate-standby
! until active=core-b
! on core-a: failover client-connection disable
! on core-a: failover mode secondary
! stands-by core-a
! on core-a: failover sync 192.0.2.11
! stands-by core-a
lbctl swap-roles core --reason "core-b stays primary"
! until primary=core-b state=normal
lbctl switchover core --to core-a --drive => core-a
lbctl resume core --drive => core-b
! until active=core-b state=normal

! configures canaries: -> mass_move: {at_least: 1}, canaries:
sudo systemctl restart lbctl
! until active=core-b state=normal
! serves core-b
! stands-by core-a
! silent core-b sentry-1
! until state=down
lbctl status => MassMoveHeld
lbctl explain core => within-mass-move
lbctl release core
! until active=core-a
lbctl release --all
! until sentry active=sentry-2
! heard core-b sentry-1
"""

UPGRADE = """
lbctl upgrade core plan => Disable HA on the Secondary
lbctl upgrade core start
lbctl upgrade core next => step 1 is done
lbctl upgrade core next --reason "device counts compared, log read"
lbctl upgrade core status => Upgrade of core
lbctl maintenance extend core --for 8h --reason "the image is being fetched"
lbctl upgrade core abort --reason "image is broken"
lbctl maintenance off core
lbctl maintenance on core --for 1h --reason "one more look"
lbctl maintenance extend core --for 1h --reason "and another"
lbctl maintenance off core
"""

AGENT = """
! agent
sudoedit /etc/lbctl/agent.env
sudo systemctl enable --now lbctl-agent
systemctl status lbctl-agent => active (running)
! configures - authoritative: {name: core.gtm.example.com, ttl: 5} -> - vip: AGENTS
lbctl check => valid
! until active=core-a state=normal
! holds
lbctl status core => in sync
! killed-agent
lbctl status core => in sync
systemctl restart lbctl-agent
! holds
lbctl status core => in sync
systemctl stop lbctl-agent
! lets-go
! configures
! until active=core-a state=normal
"""
"""A host of a virtual address, by deploy/vip/README.md; the controller stands on the same one here."""

RESTORE = """
sudo tar -C / -czf /var/backups/lbctl-etc.tar.gz etc/lbctl
sudo python3 -c "import sqlite3; sqlite3.connect('/var/lib/lbctl/state.db').backup(sqlite3.connect('/var/backups/lbctl-state.db'))"
sudo systemctl restart lbctl
sudo systemctl stop lbctl-dns.socket lbctl
! loses-all
sudo tar -C / -xzf /var/backups/lbctl-etc.tar.gz
sudo rm -f /var/lib/lbctl/state.db-wal /var/lib/lbctl/state.db-shm
sudo install -o lbctl -g lbctl -m 0600 /var/backups/lbctl-state.db /var/lib/lbctl/state.db
sudo systemctl start lbctl-dns.socket lbctl
! until active=core-a state=normal
lbctl explain core => core is normal
lbctl audit verify => whole
"""

SECURITY = """
! certificates
sudo chgrp lbctl /etc/lbctl/api.key
sudo chmod 0640 /etc/lbctl/api.key
lbctl token create alice --role operator --for 90d --file /etc/lbctl/tokens.yaml
! keeps-token
sudo systemctl restart lbctl
lbctl token create global --role viewer => shown once
lbctl token list --file /etc/lbctl/tokens.yaml => alice
LBCTL_TOKEN_FILE=~/.lbctl-token LBCTL_CA_FILE=/etc/ssl/lbctl-ca.pem lbctl --api https://lbctl.example.com:9653 status => core
lbctl token revoke ID --file /etc/lbctl/tokens.yaml
! refused-now
"""

AT_NIGHT = """
dig @SERVER NAME => 192.0.2.10
dig @RESOLVER NAME => 192.0.2.10
dig @SECONDARY ZONE SOA +norec => SOA
dig @SERVER NAME A +dnssec +norec => 192.0.2.10
ip neigh show ADDRESS
journalctl -u lbctl-agent
journalctl --since -10min => lbctl
date -u
df -h /var/lib/lbctl; ls -l /var/lib/lbctl => state.db
uptime; vmstat 1 5
0,127: ip route; resolvectl status
curl -s http://127.0.0.1:9653/api/v1/notices => syslog
systemctl status lbctl => active (running)
lbctl upgrade core status
"""

SCENES = {
    "a new host": ("bare", NEW_HOST + LAYOUTS + SOURCE), "the days": ("running", DAYS + UPGRADE + AT_NIGHT), "ways back": ("running", WAYS_BACK),
    "by a person": ("running", BY_A_PERSON), "security": ("running", AGENT + RESTORE + SECURITY),
    "not known": ("running", NOT_KNOWN), "two primaries": ("running", TWO_PRIMARIES),
}
"""Name -> the host at the beginning, and what is typed."""
