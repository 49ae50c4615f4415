"""The whole controller on virtual time, under seeded faults; an oracle of its own judges every step.

`python -m tests.simulation SEED -v` tells one story again. See `story` (what happens), `world` (what is true), `oracle` (what must never be).
"""
