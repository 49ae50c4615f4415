"""The configuration: file -> values with places (`load`) -> models (`models`, `services`, `kinds`) -> checks -> one frozen `Config` (`tree`).

`read(FILE)` gives the `Config` or raises `ConfigError` with every problem of the file, each with `file:line:column`.
`audit` judges a `Config` that is valid; `plan` says what changing from one to another would do.
"""

from lbctl.config.build import build, read
from lbctl.config.load import load
from lbctl.config.tree import Config

__all__ = ["Config", "build", "load", "read"]
