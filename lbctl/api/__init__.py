"""The HTTP face: reads snapshots, submits commands, follows the journal. It decides nothing.

`base` what it needs from the controller · `models` the typed shapes · `routes` the table that both the server and OpenAPI are made from ·
`auth` who is asking · `server` sockets and TLS.
"""
