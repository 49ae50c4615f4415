"""DNS: the authoritative server for the names of the services, and what it takes to ask, update and feed other servers.

`wire` bytes · `zone` what is known (pure) · `answers` question to reply · `templates` kept replies · `limit` responses a second ·
`datagrams` UDP · `stream` TCP · `server` sockets · `copyfile` the last answers on disk · `client` asking · `update` RFC 2136 ·
`transfer` and `notify` feeding secondaries.
"""
