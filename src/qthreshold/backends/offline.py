"""The offline backend: a device whose circuits somebody else runs, on a control stack of their own.

It has the device of a profile, so that there is something to plan for, and nothing else: it runs nothing, and it knows no truth.
Circuits leave a run as files and counts come back as files.
"""

from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import resolved
from qthreshold.device import Device
from qthreshold.pool import Pool

__all__ = ["OfflineBackend"]


class OfflineBackend:
    """A device that is described by a profile and run elsewhere.

    Args:
        profile: Name of a shipped profile, or path of a TOML file: the lab's own description of its chip.
        pool: Not used; nothing runs here.

    Raises:
        InputError: The profile does not exist or is not valid.
    """

    def __init__(self, profile: str, pool: Pool | None = None) -> None:
        self.spec = f"offline:{resolved(profile)}"
        self.device: Device = build(load_profile(profile)).device
        self.state = self.device.id  # nothing else to change: the noise of the profile is nobody's

    def __enter__(self) -> "OfflineBackend":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def truth(self, block: str) -> None:
        """Nobody knows."""
