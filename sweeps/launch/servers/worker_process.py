"""What a worker of Ray runs: Ray's own script of workers, and beside it the import of what a cell needs.

The first worker is started before Ray is, and imports meanwhile. When Ray wants a worker, it runs this file, which
hands its command to the process that waits for one and ends; where none waits, it becomes the worker itself.
Runs as ``worker_process.py RAYS_SCRIPT [its arguments]``, or with the number of a listening socket alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

AHEAD = "ACCELSWEEP_AHEAD"
"""Names the modules to import: a thread's in each line, with spaces between them."""
SOCKET = "ACCELSWEEP_FIRST_WORKER"
"""Names the socket at which a process waits to be the first worker."""
SITES = ("site-packages", "dist-packages")
"""Folders that Python finds by itself, and that are not to stand before its standard library."""
PRELOAD, TRIALS = "--worker-preload-modules", "sweeps.launch.cell_actor"
"""Ray's option for what a worker imports before it takes work."""
WORKER_SCRIPT = Path(__file__).resolve()
_OOM_SCORE = Path("/proc/self/oom_score_adj")  # Ray has the kernel take workers before its servers (proc(5))
_TAKEN = b"taken"


@contextlib.contextmanager
def first_worker(ahead: tuple[str, ...]) -> Iterator[None]:
    """A process that imports modules and waits to be Ray's first worker, while Ray is being started."""
    folder = tempfile.mkdtemp(prefix="accelsweep-")  # none but this user may enter it
    path = os.path.join(folder, "socket")
    os.environ[AHEAD] = "\n".join(ahead)
    process = None
    try:
        if ahead:
            with contextlib.suppress(OSError, AttributeError):  # a name too long, a system without such sockets
                process = _begin(path)
                os.environ[SOCKET] = path
        yield
    finally:
        if process is not None:
            process.kill()  # Ray is gone, or never took it
        os.environ.pop(AHEAD, None)
        os.environ.pop(SOCKET, None)
        shutil.rmtree(folder, ignore_errors=True)


def _begin(path: str) -> subprocess.Popen[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        process = subprocess.Popen(
            [sys.executable, "-u", str(WORKER_SCRIPT), str(listener.fileno())], pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True, name="accelsweep-first-worker").start()  # leaves no zombie
    return process


def handed_over() -> bool:
    """Whether a process that waits for this one's command has taken it."""
    command = {"argv": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
    with contextlib.suppress(OSError, KeyError), socket.socket(socket.AF_UNIX) as there:
        there.connect(os.environ[SOCKET])
        if _OOM_SCORE.exists():
            command["oom_score"] = _OOM_SCORE.read_text()
        there.sendall(json.dumps(command).encode() + b"\n")
        return there.recv(len(_TAKEN)) == _TAKEN
    return False


def take_over(number: int) -> None:
    """Wait for a command at the listening socket of this number, and go on as the process that sent it."""
    with socket.socket(fileno=number) as listener:
        there, _ = listener.accept()
        shutil.rmtree(os.path.dirname(listener.getsockname()), ignore_errors=True)
        with there, there.makefile("rb") as told:
            command = json.loads(told.readline())
            there.sendall(_TAKEN)
    sys.argv[1:] = command["argv"]
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    with contextlib.suppress(OSError, KeyError):
        _OOM_SCORE.write_text(command["oom_score"])


def _be_a_worker() -> None:
    here, root = str(WORKER_SCRIPT.parent), WORKER_SCRIPT.parent.parent.parent
    is_first = len(sys.argv) == 2 and sys.argv[1].isdigit()
    # This folder's files are no top-level modules (Ray may start workers so that they are none anyway).
    sys.path[:] = [entry for entry in sys.path if entry != here]
    if root.name not in SITES:  # Ray says where workers find our modules, but not yet
        sys.path.insert(0, str(root))
    from workloads.runtime.late import begin_importing

    ahead = [line.split() for line in os.environ.get(AHEAD, "").splitlines()]
    if is_first:
        begin_importing(*ahead)
        take_over(int(sys.argv[1]))
    import ray  # noqa: F401  # not before: what Ray is told by its environment it reads here

    if not is_first:  # Ray is not up before its first worker is; the rest goes on beside Ray's script
        begin_importing(*ahead)
    del sys.argv[0]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    if ahead and PRELOAD in Path(sys.argv[0]).read_text(encoding="utf-8"):
        sys.argv.append(f"{PRELOAD}={TRIALS}")
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__" and not handed_over():
    _be_a_worker()
