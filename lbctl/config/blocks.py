"""What every block of the configuration shares."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

URL = r"^(https?|tcp)://[^\s]+$"
WEB = r"^https?://[^\s/]+"
ANY_URL = r"^[a-z][a-z0-9+.-]*:"
MAILBOX = r"^[^@\s]+@[^@\s]+$"
INTERFACE = r"^[^\s/]{1,15}$"
PAGE = "^/"
OCTETS = r"^([0-9A-Fa-f]{2}){5,32}$"
"""Forms of texts; `problems.FORMS` has the words for each."""


class Model(BaseModel):
    """What every block shares: unknown keys refused, attribute docstrings as descriptions, frozen after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, defer_build=True)


class OneKind(Model):
    """A block that names exactly one kind: `tcp: {…}` or `http: {…}`."""

    @model_validator(mode="before")
    @classmethod
    def _named_is_given(cls, value: Any) -> Any:
        # `- rfc2136:` with its keys forgotten, or not indented, names the kind all the same; what it lacks is then said key by key.
        return {kind: none_is_empty(settings) for kind, settings in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> OneKind:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected exactly one of " + ", ".join(type(self).model_fields))
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that is given."""
        return next(iter(self.model_fields_set))

    @property
    def settings(self) -> Any:
        """The settings of the kind that is given."""
        return getattr(self, self.kind)


def none_is_empty(value: Any) -> Any:
    """`safety:` with nothing under it (all its keys commented out) is the block's defaults."""
    return {} if value is None else value


def optional_block(model: type[Model]) -> BeforeValidator:
    """A block that may stand empty."""
    return BeforeValidator(none_is_empty, json_schema_input_type=model)
