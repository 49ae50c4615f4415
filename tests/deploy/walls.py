"""What a program under the unit's walls can and cannot do, tried from the inside: prints `NAME yes` or `NAME no` for each thing.

Runs as the unit's ExecStart in the machine of a trial, with Debian's own interpreter and nothing but its library.
"""

import ctypes
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NEWUSER, PTRACE_ATTACH, PER_LINUX32, SCHED_FIFO = 0x10000000, 16, 8, 1


def libc(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def write(place: str) -> Callable[[], object]:
    """A new file there, gone again."""
    def tried() -> None:
        file = Path(place) / ".walls"
        file.write_text("x")
        file.unlink()
    return tried


def family(number: int, kind: int = socket.SOCK_DGRAM) -> Callable[[], object]:
    return lambda: socket.socket(number, kind).close()


def suid() -> None:
    file = Path("/var/lib/lbctl/.suid")
    file.write_text("x")
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def port_53() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 53))


def seen(pid: int) -> None:
    Path(f"/proc/{pid}/status").read_text()


TRIES: dict[str, Callable[[], object]] = {
    "write-state": write("/var/lib/lbctl"), "write-runtime": write("/run/lbctl"), "write-tmp": write("/tmp"),
    "write-configuration": write("/etc/lbctl"), "write-root": write("/"), "write-usr": write("/usr"), "write-etc": write("/etc"),
    "write-var": write("/var/lib"), "write-run": write("/run"), "write-dev": write("/dev"),
    "write-kernel": lambda: os.close(os.open("/proc/sys/kernel/hostname", os.O_WRONLY)),
    "write-groups": lambda: Path("/sys/fs/cgroup/walls").mkdir(),
    "read-configuration": lambda: list(Path("/etc/lbctl").iterdir()), "read-home": lambda: list(Path("/root").iterdir()),
    "read-shadow": lambda: Path("/etc/shadow").read_text(), "read-kernel-log": lambda: os.close(os.open("/dev/kmsg", os.O_RDONLY)),
    "see-process-1": lambda: seen(1), "see-itself": lambda: seen(os.getpid()),
    "inet": family(socket.AF_INET), "inet6": family(socket.AF_INET6), "unix": family(socket.AF_UNIX), "netlink": family(socket.AF_NETLINK),
    "packet": family(socket.AF_PACKET, socket.SOCK_RAW), "raw-ip": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "port-53": port_53, "become-root": lambda: os.setuid(0), "set-uid-file": suid,
    "memory-write-execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "new-namespace": lambda: libc("unshare", NEWUSER), "mount": lambda: libc("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "ptrace": lambda: libc("ptrace", PTRACE_ATTACH, os.getppid(), None, None), "personality": lambda: libc("personality", PER_LINUX32),
    "real-time": lambda: os.sched_setscheduler(0, SCHED_FIFO, os.sched_param(1)),
    "host-name": lambda: libc("sethostname", b"walls", 5), "run-a-program": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
}

if __name__ == "__main__":
    for name, attempt in TRIES.items():
        try:
            attempt()
        except (OSError, ValueError) as error:
            print(f"{name} no {error}")
        else:
            print(f"{name} yes")
