"""The command line: ``qthreshold COMMAND``. Heavy modules are imported only by the command that needs them."""

import os
import sys

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script."""
    try:
        from qthreshold.cli.app import run_command

        code = run_command()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # at once: CPython can still end by the signal if it came while a module was being made
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
