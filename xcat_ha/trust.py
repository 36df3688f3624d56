"""Opening the way between two nodes: xcat-ha's own ssh keys and known hosts, with the administrator's consent.

Nothing here ever sees a password: if one is needed, OpenSSH asks for it on the terminal. Nothing is believed of a host key that the
administrator, his known_hosts, or the other node itself over a verified connection did not confirm.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from xcat_ha.errors import RefusedError, UnreachableError
from xcat_ha.models import SSH_DIR, Node
from xcat_ha.ssh_command import IDENTITY_FILE, KNOWN_HOSTS, ssh_argv
from xcat_ha.steps import Check, Command, ExitStatus, Probe, Step, Steps, changes, reads

_MARK = "xcat-ha"
_KEY_TYPES = "ed25519,ecdsa,rsa"

# stdin: the public key line. Appended once; the file stays root's alone.
_AUTHORISE = """\
umask 077; mkdir -p "$HOME/.ssh"; touch "$HOME/.ssh/authorized_keys"
key=$(cat); body=$(printf '%s\\n' "$key" | cut -d ' ' -f 1,2)
grep -qF -- "$body" "$HOME/.ssh/authorized_keys" || printf '%s\\n' "$key" >> "$HOME/.ssh/authorized_keys"
"""
_IS_AUTHORISED = 'body=$(cut -d " " -f 1,2); grep -qF -- "$body" "$HOME/.ssh/authorized_keys" 2>/dev/null || exit 1'
# stdin: known_hosts lines, all under one alias ($2), which replace those the alias has.
_KNOW = """\
umask 077; mkdir -p "${1%/*}"; touch "$1"
{ grep -v "^$2 " "$1" || :; cat; } > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1"
"""
_KNOWS = 'while IFS= read -r line; do grep -qxF -- "$line" "$1" 2>/dev/null || exit 1; done'


@frozen
class HostKey:
    """A host key as ssh-keyscan shows it: ``kind`` and base64 ``body``; ``fingerprint`` is SHA256 as ``ssh-keygen -l`` prints it."""

    kind: str
    body: str
    fingerprint: str


def run(*argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """One command on this machine, with text in and out."""
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)


def own_public_key() -> str:
    """This machine's xcat-ha key, made if it is not there. Returns the public key line.

    Raises:
        RefusedError: it cannot be made.
    """
    public = Path(f"{IDENTITY_FILE}.pub")
    if not public.exists():
        Path(SSH_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
        made = run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", _MARK, "-f", IDENTITY_FILE)
        if made.returncode != 0:
            raise RefusedError(f"ssh-keygen failed: {made.stderr.strip()}", where=IDENTITY_FILE, hint="is openssh-client installed?")
    return public.read_text(encoding="ascii").strip()


def offered_host_keys(node: Node) -> tuple[HostKey, ...]:
    """The host keys the node's sshd shows. They prove nothing until somebody confirms a fingerprint.

    Raises:
        UnreachableError: no sshd answers there.
    """
    scanned = run("ssh-keyscan", "-T", "10", "-t", _KEY_TYPES, "-p", str(node.ssh_port), node.address, timeout_s=40)
    keys: list[HostKey] = []
    for line in scanned.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and not line.startswith("#"):
            shown = run("ssh-keygen", "-lf", "-", stdin=f"{words[1]} {words[2]}\n").stdout.split()
            if len(shown) > 1:
                keys.append(HostKey(words[1], words[2], shown[1]))
    if not keys:
        raise UnreachableError(
            f"no sshd answers at {node.address} port {node.ssh_port}",
            where=node.id,
            state="nothing was changed",
            hint=f"is {node.id} up, its address right in the configuration, and sshd running there?",
        )
    return tuple(keys)


def is_known(node: Node) -> bool:
    """Whether this machine's xcat-ha has a host key under the node's id."""
    return bool(known_lines(node))


def confirm_host_keys(node: Node, accepted: frozenset[str], ask: Callable[[str], bool]) -> None:
    """Have the node's host keys confirmed and remembered under its id; nothing to do if they already are.

    Confirmed by: a fingerprint in ``accepted``; root's own known_hosts holding the key for the node's address; or ``ask``.

    Raises:
        RefusedError: nobody confirmed.
        UnreachableError: no sshd answers.
    """
    if is_known(node):
        return
    keys = offered_host_keys(node)
    known = run("ssh-keygen", "-F", node.address).stdout
    confirmed = [key for key in keys if key.fingerprint in accepted or key.body in known]
    shown = "\n".join(f"  {key.kind} {key.fingerprint}" for key in keys)
    if not confirmed and not ask(f"{node.id} ({node.address}) shows these host keys:\n{shown}\nAre they {node.id}'s?"):
        raise RefusedError(
            f"the host keys of {node.id} are not confirmed",
            state="nothing was changed",
            hint=f"compare with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on {node.id}, then --trust-host-key FINGERPRINT",
        )
    lines = "".join(f"{node.id} {key.kind} {key.body}\n" for key in (confirmed or keys))
    done = run("sh", "-c", _KNOW, "sh", KNOWN_HOSTS, node.id, stdin=lines)
    if done.returncode != 0:
        raise RefusedError(f"known hosts cannot be written: {done.stderr.strip()}", where=KNOWN_HOSTS, hint="are you root?")


def open_way(node: Node, public_key: str) -> None:
    """Make the login to the node work with xcat-ha's key, using whatever way in its user has now (a key, or a password typed to ssh).

    Raises:
        RefusedError: there is no way in.
    """
    if run(*ssh_argv(node), "true", timeout_s=40).returncode == 0:
        return
    argv = (
        "ssh",
        *("-o", "StrictHostKeyChecking=yes", "-o", f"HostKeyAlias={node.id}", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}"),
        *("-o", "ConnectTimeout=10", "-p", str(node.ssh_port), f"{node.user}@{node.address}"),
        f"sh -c {shlex.quote(_AUTHORISE)}",
    )
    # stderr and the terminal stay the administrator's: OpenSSH asks there for a password or a passphrase.
    done = subprocess.run(argv, input=f"{public_key}\n", text=True, stdout=subprocess.DEVNULL, timeout=300, check=False)
    if done.returncode != 0 or run(*ssh_argv(node), "true", timeout_s=40).returncode != 0:
        raise RefusedError(
            f"{node.user} cannot log in to {node.id} ({node.address}) by ssh",
            state="nothing was changed there",
            hint=f"let {node.user} log in once (ssh-copy-id {node.user}@{node.address}), or add {IDENTITY_FILE}.pub to its authorized_keys",
        )


def this_machines_host_keys() -> tuple[tuple[str, str], ...]:
    """(kind, body) of this machine's own host keys, read from its own files."""
    found: list[tuple[str, str]] = []
    for path in sorted(Path("/etc/ssh").glob("ssh_host_*_key.pub")):
        words = path.read_text(encoding="ascii").split()
        if len(words) >= 2 and re.search("ed25519|ecdsa|rsa", words[0]):
            found.append((words[0], words[1]))
    return tuple(found)


def steps_to_trust_back(here: Node, there: Node, host_keys: tuple[tuple[str, str], ...]) -> Steps:
    """Steps on ``there`` so that it knows ``here``'s host keys and has a key pair of its own."""
    lines = "".join(f"{here.id} {kind} {body}\n" for kind, body in host_keys)
    keygen = 'test -e "$1" || { umask 077; mkdir -p "${1%/*}" && ssh-keygen -q -t ed25519 -N "" -C xcat-ha -f "$1"; }'
    return (
        Step(
            name="make-key",
            why="Each node has a key of its own for the other; the cluster's keys in ~/.ssh are not used.",
            host=there.id,
            done_when=_check(f"{there.id} has a key for xcat-ha", there, reads("test", "-s", f"{IDENTITY_FILE}.pub")),
            commands=(changes("sh", "-c", keygen, "sh", IDENTITY_FILE),),
        ),
        step_to_know(there, here, lines),
    )


def question_for_public_key() -> Command:
    """Prints a node's public key line."""
    return reads("cat", f"{IDENTITY_FILE}.pub")


def known_lines(node: Node) -> str:
    """What this machine's xcat-ha knows of the node's host keys: lines of a known_hosts file, all under its id."""
    try:
        lines = Path(KNOWN_HOSTS).read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    return "".join(f"{line}\n" for line in lines if line.startswith(f"{node.id} "))


def step_to_know(there: Node, node: Node, lines: str) -> Step:
    """Tell ``there`` the host keys of ``node``: lines of a known_hosts file, all under its id."""
    return Step(
        name="know-host-keys",
        why=f"{there.id} must recognise {node.id}, whatever address it has.",
        host=there.id,
        done_when=_check(f"{there.id} knows {node.id}'s host keys", there, reads("sh", "-c", _KNOWS, "sh", KNOWN_HOSTS, stdin=lines)),
        commands=(changes("sh", "-c", _KNOW, "sh", KNOWN_HOSTS, node.id, stdin=lines),),
    )


def step_to_authorise(node: Node, public_key: str, of: Node, *, why: str = "") -> Step:
    """Let ``of``'s key log in to ``node``."""
    line = f"{public_key}\n"
    return Step(
        name="authorise-key",
        why=why or f"{of.id} copies to {node.id} and hands over to it.",
        host=node.id,
        done_when=_check(f"{of.id}'s key may log in to {node.id}", node, reads("sh", "-c", _IS_AUTHORISED, "sh", stdin=line)),
        commands=(changes("sh", "-c", _AUTHORISE, "sh", stdin=line),),
    )


def _check(question: str, node: Node, command: Command) -> Check:
    return Check(question=question, probes=(Probe(node.id, command),), rule=ExitStatus(holds=(0,), fails=(1,)))
