"""`db2`: the command line processor, and db2bp, the back-end that keeps a shell's connection."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import socket
import sys
from collections.abc import Callable, Iterator

from . import wire
from .disk import Instance
from .messages import Answer, SqlError, answer_of, text, wrapped
from .wire import Channel, Message

Ask = Callable[[str], str]
LOOK_S = 5
"""A back-end looks this often whether its shell is still there."""


def _converse(channel: Channel, message: Message, ask: Ask) -> Answer:
    """Raises OSError when the other side goes away."""
    channel.send(message)
    while (reply := channel.receive()) is not None:
        if "ask" not in reply:
            return Answer(reply["text"], reply["code"])
        channel.send({"answer": ask(str(reply["ask"]))})
    raise OSError("the other side went away")


class LocalSession:
    """The side of one session that is not the engine."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._channel: Channel | None = None

    def run(self, line: str, ask: Ask, *, bare: bool) -> Answer:
        if self._channel is None:
            try:
                self._channel = wire.connect_to(self._instance.ipc)
            except OSError:
                return self._alone(line, ask, bare=bare)
        try:
            return _converse(self._channel, {"op": "clp", "text": line, "bare": bare}, ask)
        except OSError:
            self._channel = None
            return answer_of(SqlError("SQL1224N"))

    def _alone(self, line: str, ask: Ask, *, bare: bool) -> Answer:
        """The instance is down: some commands only need its files."""
        from . import commands

        try:
            return commands.run(commands.Context(self._instance, None, None, ask, bare=bare), line)
        except SqlError as error:
            return answer_of(error)


# --- the back-end


def _started(pid: int) -> str:
    """When a process began, so that a number used again is noticed; empty if there is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _place(instance: Instance, shell: int) -> pathlib.Path:
    return instance.run / "bp" / f"{shell}.{_started(shell)}"


def find_backend(instance: Instance) -> Channel | None:
    """Our shell's. A shell may have become us instead of starting us: the last command of `sh -c` is often run so."""
    for shell in (os.getppid(), os.getpid()):
        place = _place(instance, shell)
        if place.exists():
            try:
                return wire.connect_to(place)
            except OSError:
                place.unlink(missing_ok=True)
    return None


def start_backend(instance: Instance) -> Channel:
    """A process that lives until TERMINATE or the end of the shell. It keeps the standard output it inherits."""
    shell = os.getppid()
    place = _place(instance, shell)
    listener = wire.listen_at(place)
    if os.fork() == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            _backend(instance, listener, place, shell)
        finally:
            place.unlink(missing_ok=True)
            os._exit(0)
    listener.close()
    return wire.connect_to(place)


def _backend(instance: Instance, listener: socket.socket, place: pathlib.Path, shell: int) -> None:
    session = LocalSession(instance)
    began = place.name.partition(".")[2]
    listener.settimeout(LOOK_S)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if _started(shell) != began:
                return
            continue
        connection.settimeout(None)
        if _serve_front(session, Channel(connection)):
            return


def _serve_front(session: LocalSession, channel: Channel) -> bool:
    """Commands of one front-end; True after TERMINATE."""

    def ask(question: str) -> str:
        channel.send({"ask": question})
        reply = channel.receive()
        return str(reply["answer"]) if reply else ""

    try:
        while (message := channel.receive()) is not None:
            answer = session.run(str(message["text"]), ask, bare=bool(message["bare"]))
            channel.send({"text": answer.text, "code": answer.code})
            if re.fullmatch(r"(?i)\s*TERMINATE\s*;?\s*", str(message["text"])):
                return True
    except OSError:
        pass
    finally:
        channel.close()
    return False


# --- the front-end


@dataclasses.dataclass
class Options:
    bare: bool = False  # -x
    terminated: bool = False  # -t
    echo: bool = False  # -v
    stop: bool = False  # -s
    file: str = ""  # -f


def parse(words: list[str]) -> tuple[Options, str]:
    found = Options()
    while words and re.fullmatch(r"[-+][a-z]+", words[0]):
        word = words.pop(0)
        if word[0] == "-":
            found.bare |= "x" in word
            found.terminated |= "t" in word
            found.echo |= "v" in word
            found.stop |= "s" in word
            if "f" in word and words:
                found.file = words.pop(0)
    return found, " ".join(words)


def _statements(source: str, options: Options) -> Iterator[str]:
    lines = [line for line in source.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";") if options.terminated else lines
    return (part.strip() for part in parts if part.strip())


def _ask_terminal(question: str) -> str:
    """The answer from standard input; empty at its end."""
    sys.stdout.write(wrapped(question))
    sys.stdout.flush()
    answer = sys.stdin.readline()
    sys.stdout.write("\n" if not answer else "")
    return answer


class Front:
    def __init__(self, instance: Instance, options: Options) -> None:
        self._instance = instance
        self._options = options
        self._backend = find_backend(instance)
        self._own = LocalSession(instance)

    def run(self, line: str) -> int:
        if self._options.echo:
            sys.stdout.write(line + "\n")
        if self._backend is None and re.match(r"(?i)CONNECT\s+TO\b", line):
            self._backend = start_backend(self._instance)
        answer = self._ask_backend(line) if self._backend is not None else self._own.run(line, _ask_terminal, bare=self._options.bare)
        sys.stdout.write(wrapped(answer.text) + "\n")
        sys.stdout.flush()
        return answer.code

    def _ask_backend(self, line: str) -> Answer:
        assert self._backend is not None
        try:
            answer = _converse(self._backend, {"text": line, "bare": self._options.bare}, _ask_terminal)
        except OSError:
            self._backend = None
            return Answer(
                "DB21016E  The Command Line Processor encountered a system error while sending the command to the backend process.", 8
            )
        if re.fullmatch(r"(?i)\s*TERMINATE\s*", line):
            self._backend = None
        return answer


def main(words: list[str]) -> int:
    if not os.environ.get("DB2INSTANCE"):
        sys.stdout.write(text("DB21061E") + "\n")
        return 4
    try:
        instance = Instance.of_environment()
    except SqlError as error:
        sys.stdout.write(wrapped(error.line) + "\n")
        return error.exit_code
    options, line = parse(words)
    if options.file:
        lines = list(_statements(pathlib.Path(options.file).read_text(), options))
    else:
        lines = [line] if line.strip() else list(_statements(sys.stdin.read(), options))
    front, code = Front(instance, options), 0
    for statement in lines:
        if re.fullmatch(r"(?i)QUIT", statement):
            break
        code |= front.run(statement)
        if options.stop and code >= 4:
            break
    return code
