"""The System Manager portal of a Core, under `/mics`: *Maintenance > HA Configuration* and what the guide's set-up and test plan need beside it.

Plain HTML forms that work without JavaScript; a small script of our own only refreshes what changes by itself. Nothing is loaded from another
host, and the content security policy says so. A GET changes nothing; every POST carries the session's token and comes from our own origin.
What a form sends is judged on the server, field by field, before anything of it is used.

`routes.add_portal(app, core)` is all that a node needs.
"""
