"""Only the pytest-benchmark suites are collected; the folders hold scripts."""

collect_ignore = ["accuracy", "compare"]
