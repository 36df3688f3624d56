"""The one way this project calls OpenSSH: strict host keys under the node's id, its own key, no prompt.

The key pair and known_hosts live in ``/etc/xcat-ha/ssh`` on each node (made by ``setup``), apart from ``~/.ssh``, whose ``id_*`` are the
cluster's and are equal on both nodes.
"""

from __future__ import annotations

from xcat_ha.models import SSH_DIR, Node

IDENTITY_FILE = f"{SSH_DIR}/id_ed25519"
KNOWN_HOSTS = f"{SSH_DIR}/known_hosts"


def ssh_options(node: Node, *, connect_timeout_s: int = 10) -> tuple[str, ...]:
    """Options for ``ssh`` to ``node``, without the destination.

    The host key is looked up under the node's id, so a service address that moves can never satisfy it.
    """
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": node.id,
        "UserKnownHostsFile": KNOWN_HOSTS,
        "GlobalKnownHostsFile": "/dev/null",
        "IdentityFile": IDENTITY_FILE,
        "IdentitiesOnly": "yes",
        "ConnectTimeout": str(connect_timeout_s),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "Port": str(node.ssh_port),
        "LogLevel": "ERROR",
    }
    # -F /dev/null: what an administrator puts into ssh_config (proxies, agents, aliases) must not change whom we talk to.
    return ("-F", "/dev/null", *(word for key, value in options.items() for word in ("-o", f"{key}={value}")))


def ssh_argv(node: Node) -> tuple[str, ...]:
    """``ssh`` with options and destination; the remote command, quoted by the caller, follows."""
    return ("ssh", *ssh_options(node), f"{node.user}@{node.address}")


def rsh_words(node: Node) -> str:
    """The value of rsync's ``-e`` for talking to ``node`` (rsync splits it at blanks; no value here holds one)."""
    return " ".join(("ssh", *ssh_options(node)))
