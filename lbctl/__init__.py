"""lbctl: health-check and failover controller for active/standby server pairs.

It probes the members of a service, decides by a table of named safety rules, saves the decision, and only then makes the world follow.
Nothing here acts by itself: `app` wires, `cli` starts.
"""

__version__ = "0.1.0"
