"""A mock of IBM's identity and runtime services, for the unpatched qiskit-ibm-runtime client.

`with MockIBM({"ibm_manila_mock": "FakeManilaV2"}) as mock:` serves one device; a client process gets `mock.environment` and an empty HOME,
and `mock.jobs[0].runs` says afterwards how often its first job was executed.
"""

from . import faults
from .devices import Device
from .faults import Fault
from .jobs import Job
from .server import CRN, TOKEN, MockIBM
from .wire import Request

__all__ = ["CRN", "TOKEN", "Device", "Fault", "Job", "MockIBM", "Request", "faults"]
