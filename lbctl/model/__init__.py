"""The nouns of lbctl, all frozen: what is looked at, believed, decided, asked and published.

Nothing here acts, waits, or knows of files and sockets. `looks` what a probe brings home · `settings` what the configuration says ·
`state` what is believed · `events` and `commands` what the policy hears · `decision` what it answers.
"""
