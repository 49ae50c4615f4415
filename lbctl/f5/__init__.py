"""From F5's `bigip_gtm.conf` to a configuration of lbctl, and a word for every line that has no place there.

`syntax` text -> a tree of statements with their lines · `objects` tree -> monitors, servers, pools, wide IPs · `convert` objects -> lbctl.yaml ·
`leftovers` what was not mapped, and why. Pure but for reading the file; nothing is guessed silently.
"""
