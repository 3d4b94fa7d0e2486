"""The real command line in processes of its own that start in milliseconds: forked from one that has everything imported.

Run as a program it reads requests from stdin, one JSON line each, and answers on stdout; :class:`Zygote` is the other end. A forked
command has its own environment, working directory, output files and process group, and can be killed like any other.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve()


@dataclass(frozen=True)
class Answer:
    """What a command did; the code is negative for a signal, as in subprocess."""

    code: int
    out: str
    err: str
    seconds: float


class Zygote:
    """Starts commands; used as a context manager."""

    def __init__(self, env):
        self.env = dict(env)

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, HERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env)
        assert self._read() == ["ready"]
        self.exits = {}
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def _read(self):
        return self.process.stdout.readline().split()

    def start(self, *args, out, env=None, cwd=None):
        """Start a command; its output goes to files beside ``out``. Returns its pid."""
        request = {"argv": ["qthreshold", *map(str, args)], "env": self.env | (env or {}), "out": str(out), "cwd": str(cwd or Path.cwd())}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self._next("started")[1])

    def _next(self, kind):
        while True:
            words = self._read()
            if words and words[0] == "exit":
                self.exits[int(words[1])] = int(words[2])
            if words and words[0] == kind:
                return words
            assert words, "the zygote is dead"

    def wait(self, pid, seconds=60):
        """Exit code of a command."""
        end = time.monotonic() + seconds
        while pid not in self.exits:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.5)
            if ready:
                self._next("exit")
            assert time.monotonic() < end, "the command did not end"
        return self.exits.pop(pid)

    def ended(self, pid):
        """Whether a command has ended."""
        ready, _, _ = select.select([self.process.stdout], [], [], 0)
        if ready:
            self._next("exit")
        return pid in self.exits

    def run(self, *args, out, env=None, cwd=None, seconds=60):
        """Run a command to its end."""
        began = time.monotonic()
        code = self.wait(self.start(*args, out=out, env=env, cwd=cwd), seconds)
        return Answer(code, Path(f"{out}.out").read_text(), Path(f"{out}.err").read_text(), time.monotonic() - began)


def _command(request):
    """In the forked process: become the command."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(f"{request['out']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = request["argv"]
    from qthreshold.cli import main

    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(ValueError, OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # without what the zygote registered for its own end


def _serve():
    import qiskit_ibm_runtime.executor_sampler
    import qiskit_ibm_runtime.sampler  # noqa: F401

    import qthreshold.backends.ibm
    import qthreshold.cli.app
    import qthreshold.cli.stages
    import qthreshold.report.text
    import qthreshold.workflow
    from qthreshold.report.page import has_figures

    if has_figures():
        import qthreshold.report.plates  # noqa: F401

    children = set()
    print("ready", flush=True)
    buffer = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.01)
        for child in list(children):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                children.discard(child)
                print("exit", child, os.waitstatus_to_exitcode(status), flush=True)
        if not ready:
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        buffer += chunk
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            pid = os.fork()
            if pid == 0:
                _command(json.loads(line))
            children.add(pid)
            print("started", pid, flush=True)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    _serve()
