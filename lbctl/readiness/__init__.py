"""Would the standby take over right now, and is the pair kept as the guide asks? (G-BP, H1)

`practices` holds one row for each best practice: a check over what is known, its evidence, and what to do where it fails. `gather` brings from the
Cores what their pages do not say. A failed row moves nothing and stops nothing: the gate has rows of its own (freshness among them).
"""
