"""Ways to look at a member: one file a kind, listed in `PROBES`."""
