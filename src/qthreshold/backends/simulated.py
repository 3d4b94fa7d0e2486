"""What simulators of a device with known channels have in common, whatever they simulate with."""

from typing import Self

import numpy as np
import numpy.typing as npt

from qthreshold.backends.crosstalk import check_clusters
from qthreshold.backends.noise import Noise, Truth, true_errors
from qthreshold.backends.profiles import SimulatedDevice
from qthreshold.device import Device
from qthreshold.plan import Plan
from qthreshold.pool import Pool

__all__ = ["SimulatedBackend"]


class SimulatedBackend:
    """A simulated device; how its circuits are run is up to subclasses.

    Args:
        spec: What the backend is called.
        simulated: The device, its noise and its crosstalk.
        pool: Who does the work; by default this process. Results do not depend on it. It is the caller's to close.
    """

    def __init__(self, spec: str, simulated: SimulatedDevice, pool: Pool | None = None) -> None:
        self.spec = spec
        self.simulated = simulated
        self.device: Device = simulated.device
        self.noise: Noise = simulated.noise
        self.crosstalk: npt.NDArray[np.float64] = simulated.crosstalk
        self.state = simulated.state
        self._pool = pool or Pool(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def truth(self, block: str) -> Truth:
        """True errors from the device's channels."""
        return true_errors(self.device, self.noise, block)

    def check(self, plan: Plan) -> None:
        """Look at a plan before anything is run.

        Raises:
            InputError: Crosstalk joins more pairs than can be simulated together.
        """
        check_clusters(plan, self.device, self.crosstalk)
