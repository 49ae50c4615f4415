#!/bin/sh
# In a mount namespace of its own, over a copy-on-write view of this machine: install, run without rights, upgrade, remove, purge.
# usage: unshare -m install.sh PACKAGE      Prints what it saw; the machine itself stays as it was.
set -eu
room=$(mktemp -d)
mount -t tmpfs none "$room"
mkdir "$room/up" "$room/work" "$room/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/up,workdir=$room/work" "$room/root"
mount -t proc proc "$room/root/proc"
mount --bind /dev "$room/root/dev"
mount -t tmpfs none "$room/root/run"
rm -f "$room"/root/etc/dpkg/dpkg.cfg.d/*          # slim images leave out manuals
cp "$1" "$room/root/tmp/lbctl.deb"
cat > "$room/root/tmp/inside" <<'INSIDE'
set -eu
dpkg -i /tmp/lbctl.deb
echo "owner $(stat -c '%U:%G %a' /etc/lbctl)"
cat > /etc/lbctl/lbctl.yaml <<'YAML'
controller: {name: test, state: /var/lib/lbctl/state.db}
api: {socket: /run/lbctl/lbctl.sock, listen: []}
authoritative:
  listen: ["127.0.0.1:53999"]
  zones: {gtm.example.com: {ns: {ns1.gtm.example.com: [192.0.2.1]}}}
services:
  core:
    members:
      - {name: core-a, role: primary, address: 192.0.2.10, url: "http://127.0.0.1:9"}
      - {name: core-b, role: secondary, address: 198.51.100.10, url: "http://127.0.0.1:9", syncs_from: core-a}
    actuators: [{authoritative: {name: core.gtm.example.com, ttl: 30}}]
YAML
chgrp lbctl /etc/lbctl/lbctl.yaml; chmod 0640 /etc/lbctl/lbctl.yaml
install -d -o lbctl -g lbctl -m 0700 /var/lib/lbctl          # what StateDirectory= and RuntimeDirectory= do
install -d -o lbctl -g lbctl -m 0750 /run/lbctl
as="setpriv --reuid lbctl --regid lbctl --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all"
$as lbctl run 2>/tmp/log &
lbctl=$!
for _ in $(seq 300); do [ -S /run/lbctl/lbctl.sock ] && break; sleep 0.1; done
[ -S /run/lbctl/lbctl.sock ] || cat /tmp/log >&2
echo "user $(ps -o user= -p $lbctl | tr -d ' ')"
echo "caps $(sed -n 's/^CapEff:\s*//p' /proc/$lbctl/status)"
echo "socket $(stat -c '%U:%G %a' /run/lbctl/lbctl.sock)"
lbctl status core -o json | head -c 4000 | tr ',' '\n' | grep '"state"' | head -1
if setpriv --reuid nobody --regid nogroup --clear-groups lbctl status >/dev/null 2>&1; then echo "stranger yes"; else echo "stranger no"; fi
kill -TERM $lbctl; wait $lbctl && echo "ended $?"
dpkg -i /tmp/lbctl.deb >/dev/null && echo "upgraded, state $(stat -c '%U %a' /var/lib/lbctl/state.db)"
man -w lbctl >/dev/null && echo "manual yes"
bash -c '. /usr/share/bash-completion/completions/lbctl && complete -p lbctl' | sed 's/^/completion /'
dpkg -r lbctl >/dev/null; test -e /var/lib/lbctl/state.db && test -e /etc/lbctl/lbctl.yaml && echo "removed, state and configuration kept"
dpkg -P lbctl >/dev/null; test ! -e /var/lib/lbctl && test ! -e /usr/lib/lbctl && echo "purged"
INSIDE
chroot "$room/root" sh /tmp/inside
