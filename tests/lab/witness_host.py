"""A third machine with a real sshd, at the observer's address: what a site would use as witness."""

from __future__ import annotations

from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.process import wait_until
from tests.lab.shapes import OBSERVER_IPV4

_KEYS = "/etc/ssh/ssh_host_ed25519_key"
_LISTENS = ("sh", "-c", "ss -Hltn sport = :22 | grep -q .")


class WitnessHost:
    """The observer's tree with sshd. Nothing of the product is needed there, and none is used."""

    def __init__(self, lab: Lab) -> None:
        """Machine keys of its own; nobody may log in yet."""
        self._lab = lab
        lab.observer_chroot_run(("sh", "-c", "mkdir -p /run/sshd && ssh-keygen -qA"))

    @property
    def address(self) -> str:
        """Where it is on the segment."""
        return OBSERVER_IPV4

    def fingerprint(self) -> str:
        """As its console shows it."""
        return self._lab.observer_chroot_run(("ssh-keygen", "-lf", f"{_KEYS}.pub")).stdout.split()[1]

    def add_user(self, name: str) -> None:
        """Somebody who has no password and may not become root."""
        self._lab.observer_chroot_run(("useradd", "--create-home", "--shell", "/bin/sh", name))

    def let_in(self, public_key: str, user: str = "root") -> None:
        """Let a key log in, as the administrator would."""
        script = (
            'home=$(getent passwd "$1" | cut -d: -f6); umask 077; mkdir -p "$home/.ssh"; cat >> "$home/.ssh/authorized_keys"; '
            'chown -R "$1:" "$home/.ssh"'
        )
        self._lab.observer_chroot_run(("sh", "-c", script, "sh", user), input=public_key)

    def keys(self, user_home: str = "/root") -> list[str]:
        """Who may log in."""
        return (Path(self._lab.observer_chroot().path) / f"{user_home.lstrip('/')}/.ssh/authorized_keys").read_text().splitlines()

    def start(self) -> None:
        """Switch its sshd on."""
        self._lab.observer_chroot_run(("/usr/sbin/sshd", "-o", "PidFile=/run/sshd.pid"))
        self._await(running=True)

    def stop(self) -> None:
        """Out of reach: connections are refused, and those that were open end."""
        self._lab.observer_chroot_run(("sh", "-c", "pkill -x 'sshd|sshd-session' || :"))
        self._await(running=False)

    def remembered(self, directory: str = "/var/lib/xcat-ha") -> str:
        """What it has been told: the text of the one file there."""
        found = list((self._lab.observer_chroot().path / directory.lstrip("/")).glob("witness-*.json"))
        assert len(found) == 1, found
        return found[0].read_text(encoding="ascii")

    def forget(self) -> None:
        """A disk that was replaced."""
        self._lab.observer_chroot_run(("sh", "-c", "rm -rf /var/lib/xcat-ha/witness-*"))

    def _await(self, *, running: bool) -> None:
        def settled() -> bool:
            return (self._lab.observer_chroot_run(_LISTENS, check=False).returncode == 0) is running

        wait_until(settled, timeout_s=20, what="the witness's sshd to " + ("listen" if running else "stop"))
