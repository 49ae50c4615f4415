"""The guide's set-up workflow (steps 1 to 7) and test plan (tasks 1 to 5) as one run that a person can watch (G-TP).

Two Cores are started as processes of their own, and everything is done to them from outside, the way the guide tells an administrator: in the
System Manager Portal, in the Admin Portal, on the command line over SSH, and with a mail server at hand. A step passes on what was seen there.
"""
