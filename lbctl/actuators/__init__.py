"""Ways to make the world follow: one file a kind, listed in `ACTUATORS`."""
