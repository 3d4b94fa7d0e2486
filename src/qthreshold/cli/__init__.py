"""The command line: ``qthreshold COMMAND``. Heavy modules are imported only by the command that needs them."""

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
    if code == _INTERRUPTED:
        # CPython remembers an interrupt that came inside an exec (namedtuples and dataclasses are made by it) and would end by
        # the signal instead of this code, handled or not; another exec makes it forget.
        exec("")
    sys.exit(code)
