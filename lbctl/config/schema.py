"""The JSON Schema of the configuration, made from the models: what an editor needs to complete and to underline.

The first line of a file may name it: `# yaml-language-server: $schema=./lbctl.schema.json` (`lbctl check --schema > lbctl.schema.json`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import PydanticSerializationError

from lbctl.config.quantities import Endpoint
from lbctl.config.services import File


class _Generator(GenerateJsonSchema):
    """Defaults that are whole blocks are left out: they are the defaults of their keys."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}

    def encode_default(self, dft: Any) -> Any:
        """A default in the form in which an author would write it: `["127.0.0.1:9653"]`, not `[["127.0.0.1", 9653]]`; none for a whole block."""
        if isinstance(dft, BaseModel):
            raise PydanticSerializationError("the defaults of a block are those of its keys")
        if isinstance(dft, tuple) and dft and all(isinstance(one, Endpoint) for one in dft):
            return [str(one) for one in dft]
        return super().encode_default(dft)


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a configuration file, as it is written."""
    made = File.model_json_schema(mode="validation", schema_generator=_Generator)
    made["properties"]["include"] = {
        "description": "Files (patterns) that hold more `services`.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "lbctl.yaml"}
