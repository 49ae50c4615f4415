"""The reference Core: a product of its own that does what the vendor's guide says a Core does, and knows nothing of the controller.

`node.Node` joins the parts. Pure: `state` (the table of modes and states), `heartbeat`, `schedule`. Everything that can be observed from
outside (pages, command line, portal, mail) is answered from the one `Role` that the node keeps on disk.
"""
