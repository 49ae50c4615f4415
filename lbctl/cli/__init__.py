"""Commands, one file a family."""


def main() -> None:
    """Entry point."""
