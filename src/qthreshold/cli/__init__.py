"""The command line: ``qthreshold COMMAND``. Heavy modules are imported only by the command that needs them."""

from qthreshold.cli.app import main

__all__ = ["main"]
