"""Settings shared by all tests: property tests repeat exactly and have no time limit of their own."""

from hypothesis import settings

settings.register_profile("qthreshold", deadline=None, derandomize=True, print_blob=False, max_examples=60)
settings.load_profile("qthreshold")
