"""From Clifford indices to circuits in a pair's own gates."""
