"""Ways to tell people: one file a kind, listed in `NOTIFIERS`."""
