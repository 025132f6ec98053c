"""Run as a program, ``template.py NAME``: it loads what an algorithm's programs load, and then becomes them.

For each line on its standard input it forks a child that runs ``train`` or ``serve`` as ``python -m clary.container``
does, and says the child's number on its standard output, and later the child's exit status. It starts no thread, so
that nothing is lost in a fork. Without a name, no algorithm's libraries are loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path

from clary.algorithms import registry

LOADED = ("clary.container.train_program", "clary.container.serve_program", "clary.container.server")


def main(name: str) -> int:
    """Fork until the standard input ends and every child has; in a child, the program's exit status."""
    _load(name)
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    with selectors.DefaultSelector() as ready:
        ready.register(sys.stdin, selectors.EVENT_READ)
        ready.register(woken, selectors.EVENT_READ)
        while ready.get_map().get(sys.stdin) or _children_left():
            if any(key.fileobj is sys.stdin for key, _ in ready.select()):
                line = sys.stdin.readline()
                if line:
                    number = os.fork()
                    if not number:
                        return _become(**json.loads(line))
                    _say(started=number)
                else:
                    ready.unregister(sys.stdin)
            with contextlib.suppress(BlockingIOError):
                woken.recv(1 << 12)
            _report()
    return 0


def _load(name: str) -> None:
    for module in LOADED:
        importlib.import_module(module)
    if name:
        registry.trainer(name)
        registry.predictor(name)


def _children_left() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _report() -> None:
    """Say of every child that has ended how it did."""
    while True:
        try:
            number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not number:
            return
        _say(ended=number, code=os.waitstatus_to_exitcode(status))


def _say(**message: int) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _become(arguments: list[str], environment: dict[str, str], log: str) -> int:
    """Run the program in this process, as if it had been started with these arguments and this environment."""
    from clary.container.__main__ import main as program

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with Path(os.devnull).open("rb") as nothing, Path(log).open("ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    return program(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
