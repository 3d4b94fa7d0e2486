"""The CI gate: limits, verdicts and regressions of a run, decided on intervals."""
