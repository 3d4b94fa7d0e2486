"""Slow scalar twins: obvious code that the fast code must agree with."""
