"""`lbctl agent`: holds virtual addresses on a host that is not the controller's.

`keeper` one address: who may have it here, until when · `server` the process: listens, knows its peers, ends.
The agent decides nothing. Which addresses it may hold at all stands on its own host, not in what it is told.
"""
