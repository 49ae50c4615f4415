"""Chaos with real processes: one `lbctl run` and two reference Cores on hosts of their own, everything failing at random, judged from outside.

The simulation proves the controller on virtual time; here nothing is virtual: kernels refuse, disks fill, processes are stopped and killed, packets
are lost one way. `plan` a seed's schedule (pure) · `wire` what is between the hosts · `stage` the processes and their disk · `deeds` what each kind
of deed does · `outside` the reader, the pages and the devices that write · `record` what was seen · `judge` what must never be, over that and the
journal · `settled` what must be once all is healed · `story` one seed from beginning to end.

`python -m tests.chaos SEED -v` tells one story; `python -m tests.chaos FIRST LAST` a range.
"""
