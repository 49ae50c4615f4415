"""Benchmarks, side by side with peers where they are installed; not part of the timed suite. `python -m tests.bench [NAME …]`."""
