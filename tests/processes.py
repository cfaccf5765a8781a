"""Processes of tests: `asli` as a command, forked from a process that has imported what commands import.

Importing torch and timm takes seconds, and tests run more than two hundred commands. A forked command has its own
arguments, folder, environment, output and exit status, and its exit handlers run. A command starts in a new
interpreter where its environment differs in what libraries read when they are imported; tests of threads, signals
and imports start their own.

    python -m tests.processes serve SOCKET      imports, then forks for each client
    python tests/processes.py SOCKET ARGUMENTS   a client: does what `asli ARGUMENTS` does there
    python tests/processes.py SOCKET -c CODE     does what `python -c CODE` does
"""

import atexit
import importlib
import json
import os
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

IMPORTED = (
    *("torch", "torchvision.transforms.v2", "timm", "safetensors.torch", "scipy.stats", "scipy.optimize"),
    *("sklearn.ensemble", "sklearn.metrics", "pyarrow.parquet", "matplotlib.figure", "jinja2"),
    *("asli.cli", "asli.pipeline", "asli.detector.predict", "asli.evaluation.evaluate", "asli.auditing.audit"),
)
FREE = (
    *("ASLI_", "PYTEST_", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "GOMP_SPINCOUNT", "OPENBLAS_NUM_THREADS"),
    # Set within a test's own process by what it loads, and read by nothing before the fork.
    *("ORT_DISABLE_TELEMETRY", "TORCHINDUCTOR_", "CUBLAS_WORKSPACE_CONFIG", "RAY_", "DAFT_", "WANDB_", "ACCELERATE_"),
    "AWS_",
    *("PYTHONBREAKPOINT", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),  # by Ray; by scikit-learn, here as well
)
"""Beginnings of variables that nothing in `IMPORTED` reads, or that mean nothing to one thread."""


class Forked:
    """Commands forked from one process, which this starts."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="forked-")
        self._socket = f"{self._place.name}/socket"
        self._environment = read_early(dict(os.environ))
        ready, told = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes", "serve", self._socket, str(told)],
            cwd=Path(__file__).parents[1],
            pass_fds=[told],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(told)
        begun = os.read(ready, 1)
        os.close(ready)
        assert begun, "the process that commands are forked from has ended"

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Return whether a command with these variables may be forked."""
        return read_early(environment) == self._environment

    def command(self, *arguments: object) -> list[str]:
        """Return what runs `asli` with these arguments."""
        return [sys.executable, "-I", "-S", __file__, self._socket, *map(str, arguments)]

    def script(self, path: Path) -> None:
        """Write an executable `asli`."""
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.command())} "$@"\n')
        path.chmod(0o755)

    def close(self) -> None:
        """End the process and all that it forked."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._place.cleanup()


def _ask(place: str, arguments: list[str]) -> None:
    """Have a fork do what this process was asked to do, and end as it ends."""
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    request = [arguments, os.getcwd(), dict(os.environ), largest]  # noqa: PTH109
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(place)
        socket.send_fds(client, [b"!"], [0, 1, 2])
        client.sendall(json.dumps(request).encode() + b"\n")
        status = int(client.makefile("r").readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def read_early(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those in `FREE`."""
    return {name: value for name, value in environment.items() if not name.startswith(FREE)}


def _serve(place: str, told: int) -> list[str]:
    """Fork for each client; return in the fork that is to run its command."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer clients
    os.write(told, b"!")
    os.close(told)
    while listening in select.select([listening, 0], [], [])[0]:  # standard input ends when those who started this do
        client, _ = listening.accept()
        if os.fork():
            client.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, files, *_ = socket.recv_fds(client, 1, 3)
        arguments, cwd, environment, largest = json.loads(client.makefile("r").readline())
        child = os.fork()
        if child == 0:
            client.close()
            for file, standard in zip(files, range(3), strict=True):
                os.dup2(file, standard)
                os.close(file)
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(cwd)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
            return list(arguments)
        for file in files:
            os.close(file)
        client.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
        os._exit(0)
    os._exit(0)


def _become(arguments: list[str]) -> int:
    """Run the command as `python -m asli` does, or code as `python -c` does, and return its exit status."""
    try:
        if arguments[:1] == ["-c"]:
            sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
            sys.modules["__main__"] = alone = ModuleType("__main__")
            exec(compile(arguments[1], "<string>", "exec"), alone.__dict__)
        else:
            sys.argv = ["asli", *arguments]
            from asli.cli import main

            main()
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except BaseException:  # as an interpreter does
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] != "serve":
        _ask(sys.argv[1], sys.argv[2:])
    for name in IMPORTED:
        importlib.import_module(name)
    status = _become(_serve(sys.argv[2], int(sys.argv[3])))
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # destructors of libraries would wait for threads that a fork does not have
