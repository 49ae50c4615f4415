"""Sync: a Secondary in Standby makes its database equal to its Primary's, over one SSH channel (G-SY1 to G-SY6).

The Secondary starts and controls it; the other side (`serve`) only answers, out of a frozen view of its database. In order:

1. *Connect* and exchange facts (`pairing`): both sides refuse what the guide refuses (version, mode, state).
2. *Compare* (`manifest`): what differs, down to the row.
3. *Transfer*: only those rows, compressed, into a file beside the database (`spool`). Nothing else on the Secondary changes.
4. *Verify and apply* (`apply`): checksum of what was received, then one transaction: rows, deletions, a comparison of the result with the
   source, and the note of where it came from. Its commit is the one moment at which the copy changes; a cut anywhere before leaves the
   last complete copy, a cut after leaves the new one.

Every task of every run is in the `history`; a run that a power cut ended is found and told at the next start.
"""

COMMAND = "replicate"
"""The SSH exec command that a trusted host's key may ask for."""
