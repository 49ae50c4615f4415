"""The guide's upgrade of a pair, walked step by step (G-UP, SEMANTICS section 7).

`steps` holds the nine rows: what has to be so before the next one may begin, read from the Cores and never taken on somebody's word, and what to do.
`run` walks them: it stores the evidence of each, refuses by naming what is missing, survives a restart, and does not let the last one be forgotten.
"""
