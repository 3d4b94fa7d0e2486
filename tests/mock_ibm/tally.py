"""Faults that were injected and survived so far, by kind; one list for all tests of a session."""

from collections import Counter

survived: Counter[str] = Counter()
