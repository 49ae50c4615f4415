"""An address on an interface of this host: given, watched, announced, and gone by itself when nobody keeps it.

`packets` bytes on the wire, pure · `wire` the raw socket · `netlink` the kernel's table of addresses · `holder` the life of one address ·
`forward` what this host passes on to somebody else, by `nft` · `fence` which decision was carried out last, over a restart ·
`talk` what controllers and agents say to each other, over TLS · `trust` who may, by which certificate ·
`said` what may be believed of an answer.
"""

EVENTS = ("announced", "address-removed", "address-duplicated")
"""What is counted: announcements sent, removals by somebody here, claims by somebody else."""

AGENT_PORT = 9654
"""Where an agent listens, if nothing else is said."""
