"""The command line: ``qthreshold COMMAND``. Heavy modules are imported only by the command that needs them."""

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    try:
        from qthreshold.cli.app import run_command
    except KeyboardInterrupt:
        sys.exit(130)
    run_command()
