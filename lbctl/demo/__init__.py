"""`lbctl demo`: a real failover of two real HTTPS servers on one machine, seen from outside with DNS queries.

`files` writes what each process reads, on ports that are free · `cast` starts, kills and asks the processes · `story` plays it without a terminal.
Nothing here looks into the controller: everything is done by commands that a user would type and seen by questions that a client would ask.
"""
