"""On the path of a process that shall not draw: matplotlib looks absent, which spares a second in each of a hundred runs."""

import sys

sys.modules["matplotlib"] = None
