"""Ways to remember: one file a kind, listed in `STORES`."""
