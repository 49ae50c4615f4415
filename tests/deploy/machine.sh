#!/bin/sh
# A machine of its own for a trial: a real systemd as process 1, over a copy-on-write view of this one, in namespaces of its own (processes,
# mounts, network with nothing but loopback, host name, control groups). It sees no disk, no network and no process of this machine; what it
# writes is gone with it.
# usage: unshare -m machine.sh ROOM      ROOM is an empty directory. Ends when process 1 ends. Needs root.
set -eu
room=$1 root=$1/root group=lbctl-trial-$$
mount -t tmpfs none "$room"
mkdir "$room/up" "$room/work" "$root" "$room/groups"
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/up,workdir=$room/work" "$root"
mount -t cgroup2 none "$room/groups"
mkdir "$room/groups/$group"

# Only what every machine has: journal and sockets. Nothing of this machine's services, and nothing that would touch the kernel that both share.
find "$root/etc/systemd/system" "$root/lib/systemd/system" -name '*.wants' -prune -exec rm -rf {} +
mkdir "$root/lib/systemd/system/sockets.target.wants" "$root/lib/systemd/system/sysinit.target.wants"
ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$root/lib/systemd/system/sockets.target.wants"
ln -s ../systemd-journald.service "$root/lib/systemd/system/sysinit.target.wants"
ln -s /dev/null "$root/etc/systemd/system/systemd-journald-audit.socket"        # the kernel's audit is not ours to switch on
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' > "$root/etc/systemd/system/trial.target"
rm -f "$root"/etc/dpkg/dpkg.cfg.d/*                                 # slim images leave out manuals
rm -f "$root/var/lib/man-db/auto-update"                           # the index of all manuals takes longer than the package itself
: > "$root/etc/machine-id"; : > "$root/etc/fstab"
rm -rf "$root/var/log/journal"

# A process of this machine stays outside of the group, to clear it away at the end.
(
    echo 0 > "$room/groups/$group/cgroup.procs"
    exec setpriv --pdeathsig KILL unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child sh -c '
set -eu; root=$1
hostname trial; ip link set lo up
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"; mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
for node in null zero full random urandom tty; do : > "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/host"; chmod 1777 "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
cd "$root"; pivot_root . host
exec chroot . env -i container=trial PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c \
    "umount -l /host; exec /lib/systemd/systemd --unit=trial.target --log-target=journal --show-status=no"
' boot "$root"
) || true
find "$room/groups/$group" -depth -type d -exec rmdir {} +
