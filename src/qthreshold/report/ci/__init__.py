"""What a gate says, in the forms that CI systems read: JUnit, GitHub, OpenMetrics, github-action-benchmark, Markdown, JSON."""
