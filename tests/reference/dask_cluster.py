"""A real scheduler and real workers of dask.distributed on the loopback interface, each a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class DaskCluster:
    """Started on entry; everything is killed on exit.

    Args:
        folder: For the files that the processes write.
        workers: How many.
        scheduler_environment, worker_environment: Variables beside those of this process.
        options: More of ``dask worker``; a nanny, which starts a killed worker again, takes a second.
    """

    def __init__(self, folder, workers=2, *, scheduler_environment=None, worker_environment=None, options=("--no-nanny",)):
        self.folder, self.count, self.options = Path(folder), workers, options
        self._environments = {"scheduler": scheduler_environment or {}, "worker": worker_environment or {}}
        self._processes = []

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        found = self.folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", found)
        while not found.exists() or not found.read_text():
            assert self.scheduler.poll() is None, self.log()
            time.sleep(0.05)
        self.address = json.loads(found.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(self.count)]
        return self

    def __exit__(self, *exception):
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait(10)

    def add_worker(self, environment=None):
        """One more worker."""
        extra = ("--nthreads", "1", "--host", "127.0.0.1", "--local-directory", self.folder, *self.options)
        return self._start("worker", self.address, *extra, environment=environment)

    def _start(self, role, *args, environment=None):
        path = [str(ROOT / "src"), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "ignore"} | self._environments[role] | (environment or {})
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{role}", *map(str, args), "--dashboard-address", "127.0.0.1:0"],
                env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def log(self):
        """What all of them printed."""
        return (self.folder / "log").read_text()


def other_version(folder, version="0.0.9"):
    """An environment in which qthreshold says that it has another version."""
    info = Path(folder) / f"qthreshold-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: qthreshold\nVersion: {version}\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src"), str(ROOT / "tests")])}
