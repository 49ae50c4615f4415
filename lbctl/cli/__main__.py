"""`python -m lbctl.cli`: the command line where the script is not installed."""

from lbctl.cli import main

main()
