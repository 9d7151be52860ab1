"""Commands in the settings: a program and its arguments. They are run without a shell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from regionplot.text import fields_of

FIELDS = ("path", "time", "maps", "drawn", "failed")
"""Fields of the arguments of `[run] on_published`."""
_MAX_ARGUMENTS = 100
_LONGEST = 4000
"""Maximum number of characters of an argument."""


@dataclass(frozen=True)
class Command:
    """A program and the templates of its arguments."""

    arguments: tuple[str, ...]
    """The program, then its arguments, which can contain fields of `FIELDS`."""
    folder: Path | None = None
    """Folder of a program that is given with a relative path: the folder of the settings file."""

    @property
    def program(self) -> str:
        """Path of the program, or a name to be looked for in `PATH`."""
        name = self.arguments[0]
        return name if Path(name).name == name or self.folder is None else str(self.folder / Path(name).expanduser())

    @property
    def needs_time(self) -> bool:
        """True if an argument has the field `time`."""
        return any("time" in fields_of(text) for text in self.arguments)

    def __repr__(self) -> str:
        """Return a text that does not depend on the folder of the settings."""
        return f"Command({list(self.arguments)!r})"


def parse_command(value: Any) -> Command:
    """Return a command for a value of the settings: a list of texts, or a command.

    Raises
    ------
    ValueError
        If the value is not of this kind, or an argument has an unknown field.
    """
    command = Command(tuple(value)) if isinstance(value, list | tuple) else value
    if not isinstance(command, Command):
        raise ValueError(
            'must be a list of the program and its arguments, such as ["rsync", "-a", "{path}/", "web:maps"]'
        )
    if not 0 < len(command.arguments) <= _MAX_ARGUMENTS:
        raise ValueError(f"must have at least the name of the program, and at most {_MAX_ARGUMENTS} items")
    for number, text in enumerate(command.arguments, 1):
        _check_argument(number, text)
    return command


def _check_argument(number: int, text: object) -> None:
    if not isinstance(text, str) or "\0" in text or len(text) > _LONGEST:
        raise ValueError(f"item {number} must be text of at most {_LONGEST} characters, in quotes")
    fields = fields_of(text)
    if number == 1 and (fields or not text):
        raise ValueError("the first item must be the name of the program, without fields")
    for name in fields:
        if name not in FIELDS:
            raise ValueError(f"item {number}: there is no field {name!r}; the fields are: {', '.join(FIELDS)}")


CommandSetting = Annotated[
    Command,
    PlainValidator(parse_command),
    PlainSerializer(lambda command: list(command.arguments)),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
"""A program and its arguments. A relative path of the program belongs to the folder of the settings file."""
