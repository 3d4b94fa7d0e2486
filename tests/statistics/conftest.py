"""Statistical tests share the exact engine of benchmarks/accuracy, which is a folder of scripts, not a package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))
