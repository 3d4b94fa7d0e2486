"""Settings shared by all tests: property tests repeat exactly and have no time limit of their own."""

import os

from hypothesis import settings

os.environ["QDK_PYTHON_TELEMETRY"] = "none"  # a package that a test runs circuits on would otherwise report home

settings.register_profile("qthreshold", deadline=None, derandomize=True, print_blob=False, max_examples=60)
settings.load_profile("qthreshold")
