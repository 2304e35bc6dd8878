"""Hosts made of namespaces on one machine: a network, processes, a home and a /tmp for each.

A host is one process, Debian's sshd. When that ends, the kernel ends all that ran on the host and
takes its network away, and so nothing is left behind, however a rehearsal ends.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMMES = {
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "rsync": "rsync",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""What hosts are made with, and the Debian packages that have it."""
BRIDGE = "mfscale"
LAPTOP = "10.77.0.1"
_NAMESPACES = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_OWN = ("/tmp", "/run", "/dev/shm", str(Path.home()))  # noqa: S108 - what each host has for itself
_SSHD = """\
Port 22
ListenAddress {address}
HostKey {key}
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PidFile none
PrintMotd no
UseDNS no
UsePAM no
"""


def lacking() -> str | None:
    """What keeps this machine and user from making hosts, with the remedy; None if nothing does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are namespaces of Linux's and need root: run this as root"
    absent = [name for name in PROGRAMMES if programme(name) is None]
    if absent:
        packages = " ".join(sorted({PROGRAMMES[name] for name in absent}))
        return f"no {', '.join(absent)} here: apt-get install {packages}"
    command = [*_unshared(), "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if tried.returncode:
        return (
            f"this root may make no namespaces ({tried.stderr.strip()}): use a machine of your own"
        )
    return None


def programme(name: str) -> str | None:
    """Where a programme is; those of administrators are not on everybody's PATH."""
    return shutil.which(name, path=_PATH)


def apart(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` in namespaces of its own, which end with it."""
    return [*_unshared(), *command]


@dataclass
class Host:
    """A host and the process that it is."""

    name: str
    address: str
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The host's first process, as the one who made it sees it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text(encoding="ascii").split()[0])

    def commands(self) -> dict[int, str]:
        """The command lines of all processes on the host."""
        inside = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and (entry / "ns" / "pid").readlink() == inside:
                    line = (entry / "cmdline").read_bytes()
                    found[int(entry.name)] = line.replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended
                continue
        return found

    def cut_off(self, shared: Iterable[Path]) -> None:
        """Take the host's cable out, and with it the file system that it shares with others."""
        _do("ip", "link", "set", _cable(self.name), "down")
        for path in shared:
            inside = ("nsenter", "--mount", "--pid", "--target", str(self.pid))
            _do(*inside, "umount", "--lazy", str(path))


@dataclass
class Site:
    """A bridge with hosts on it; whoever makes it is the laptop, and in namespaces of its own.

    Parameters
    ----------
    folder
        Where keys and the hosts' own file systems are.
    shared
        Folders that all hosts see alike, as on a file system that they share.
    tools
        Folders that the laptop sees beside.
    """

    folder: Path
    shared: Sequence[Path]
    tools: Sequence[Path] = ()
    hosts: dict[str, Host] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        """The private key that every host lets in, made for this rehearsal."""
        return self.folder / "key"

    def start(self) -> None:
        """Make the bridge and the key, and give the laptop a home and a /tmp of its own."""
        self.folder.mkdir(parents=True)
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        settle("laptop", self.folder / "laptop", [*self.shared, *self.tools, self.folder])
        _do("ip", "link", "set", "lo", "up")
        _do("ip", "link", "add", BRIDGE, "type", "bridge")
        _do("ip", "address", "add", f"{LAPTOP}/24", "dev", BRIDGE)
        _do("ip", "link", "set", BRIDGE, "up")

    def add(self, name: str) -> Host:
        """Start a host; it answers SSH on its address when this returns."""
        address = f"10.77.0.{11 + len(self.hosts)}"
        own = self.folder / name
        own.mkdir()
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own / "host_key"))
        config = own / "sshd_config"
        config.write_text(_SSHD.format(address=address, key=own / "host_key"), encoding="utf-8")
        begin = [sys.executable, str(Path(__file__)), name, str(own), f"{self.key}.pub"]
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*_unshared(), *begin, *map(str, self.shared)],
            stdin=subprocess.PIPE,
            stdout=(own / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        host = Host(name, address, process)
        self._plug_in(host)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.close()  # what the host waits for before it listens
        self._await(host, own / "log")
        self.hosts[name] = host
        return host

    def _plug_in(self, host: Host) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                target = str(host.pid)
                break
            except (OSError, IndexError):
                time.sleep(0.05)
        cable = _cable(host.name)
        _do("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", target)
        _do("ip", "link", "set", cable, "master", BRIDGE, "up")
        inside = ("nsenter", "--net", "--target", target, "ip")
        _do(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
        _do(*inside, "link", "set", "eth0", "up")
        _do(*inside, "link", "set", "lo", "up")
        # It leads nowhere, but it is how Ray finds out which address the host has.
        _do(*inside, "route", "add", "default", "via", LAPTOP)

    def _await(self, host: Host, log: Path) -> None:
        said = ""
        for _ in range(50):
            command = [*self.ssh(host), "true"]
            tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if tried.returncode == 0:
                return
            said = tried.stderr
            time.sleep(0.2)
        raise RuntimeError(f"{host.name} does not answer: {said}{log.read_text(errors='replace')}")

    def ssh(self, host: Host) -> list[str]:
        """The command line that runs something on a host, to be followed by it."""
        ssh = programme("ssh") or "ssh"
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        asked = [word for option in options for word in ("-o", option)]
        return [ssh, "-i", str(self.key), *asked, f"root@{host.address}"]

    def end(self) -> None:
        """End all hosts and what runs on them."""
        for host in self.hosts.values():
            host.process.kill()
            host.process.wait()


def settle(name: str, own: Path, seen: Iterable[Path]) -> None:
    """Give this process, in namespaces of its own, a name, a home and a /tmp of its own.

    What lies below them and is needed is still seen: `seen`, Python and this checkout.
    """
    _do("hostname", name)
    root = own / "root"
    root.mkdir(parents=True, exist_ok=True)
    _do("mount", "-t", "tmpfs", "tmpfs", str(root))
    checkout = Path(__file__).resolve().parents[2]
    needed = {*seen, checkout, Path(sys.prefix), Path(sys.base_prefix)}
    for place in _OWN:
        (inner := root / place.lstrip("/")).mkdir(parents=True)
        for path in sorted(p for p in needed if p.is_relative_to(place)):
            _bind(path, inner / path.relative_to(place))
    for place in sorted(_OWN, key=root.is_relative_to):  # what hides `root` comes last
        _do("mount", "--rbind", str(root / place.lstrip("/")), place)
    Path("/tmp").chmod(0o1777)  # noqa: S108 - this host's
    (Path.home() / ".bashrc").touch()


def _bind(path: Path, place: Path) -> None:
    if path.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    _do("mount", "--bind", str(path), str(place))


def _host(name: str, own: str, key: str, *shared: str) -> None:
    """Be a host: what runs in a new host's namespaces until it ends."""
    public = Path(key).read_text(encoding="ascii")
    settle(name, Path(own), [*map(Path, shared), Path(own)])
    home = Path.home()
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh" / "authorized_keys").write_text(public, encoding="ascii")
    home.chmod(0o700)
    Path("/run/sshd").mkdir()
    sys.stdin.read()  # until the cable is plugged in
    sshd = programme("sshd") or "sshd"
    os.chdir("/")
    os.execv(sshd, [sshd, "-D", "-e", "-f", f"{own}/sshd_config"])  # noqa: S606 - Debian's


def _unshared() -> list[str]:
    return [programme("unshare") or "unshare", *_NAMESPACES]


def _cable(name: str) -> str:
    return f"to-{name}"


def _do(name: str, *arguments: str) -> None:
    command = [programme(name) or name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":
    _host(*sys.argv[1:])
