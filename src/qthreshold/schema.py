"""Base of all file schemas, and the fields that several of them share."""

import calendar
import datetime
import re
from dataclasses import dataclass, field
from typing import Any

import pydantic
from pydantic_core import CoreSchema, core_schema

__all__ = ["Days", "FieldError", "Schema"]


class Schema(pydantic.BaseModel):
    """Unknown fields are errors, instances do not change, infinities and NaN are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldError(ValueError):
    """What a validator of a whole table raises to name the field that must change.

    Args:
        place: Names and positions on the way to the field, from the table on.
        message: What is wrong with it.
    """

    def __init__(self, place: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.place = place


_FORMS = 'a date (2024-09-06), or in quotes a month ("2024-07"), a year ("2024") or a range of days ("2024-07-19/2024-07-20")'
_YEAR, _MONTH, _DAY = r"[0-9]{4}", r"[0-9]{4}-[0-9]{2}", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


@dataclass(frozen=True, slots=True)
class Days:
    """A day that is known exactly, or only to lie in a range; equal if the days are, however they are written.

    Attributes:
        earliest: The first day that it can be.
        latest: The last day that it can be.
        text: As people write it; also the JSON form.

    Example:
        >>> Days.parse("2024-07").latest
        datetime.date(2024, 7, 31)
        >>> print(Days.parse("2024-07"))
        2024-07
    """

    earliest: datetime.date
    latest: datetime.date
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    @property
    def exact(self) -> bool:
        """Whether the day itself is known."""
        return self.earliest == self.latest

    @classmethod
    def parse(cls, value: object) -> "Days":
        """A date, or text: ``2024-09-06``, ``2024-07`` (a day of that month), ``2024`` (of that year), ``2024-07-19/2024-07-20``.

        Raises:
            ValueError: It is none of these.
        """
        if isinstance(value, Days):
            return value
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return cls(value, value, value.isoformat())
        if not isinstance(value, str):
            raise ValueError(f"is no day; write {_FORMS}")
        try:
            first, last = _ends(value)
        except ValueError:
            raise ValueError(f"is no day; write {_FORMS}") from None
        if first > last or ("/" in value and first == last):
            raise ValueError("the range must end after it begins; write a single day alone")
        return cls(first, last, value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        """A plain check by :meth:`parse`; text when dumped."""
        text = core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema())
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        """Text of one of the four forms."""
        return {"type": "string", "pattern": f"^({_YEAR}|{_MONTH}|{_DAY}|{_DAY}/{_DAY})$", "description": f"a day, or the range it lies in: {_FORMS}"}


def _ends(text: str) -> tuple[datetime.date, datetime.date]:
    if re.fullmatch(_YEAR, text):
        return datetime.date(int(text), 1, 1), datetime.date(int(text), 12, 31)
    if re.fullmatch(_MONTH, text):
        year, month = int(text[:4]), int(text[5:])
        first = datetime.date(year, month, 1)
        return first, first.replace(day=calendar.monthrange(year, month)[1])
    if not re.fullmatch(f"{_DAY}(/{_DAY})?", text):
        raise ValueError(text)
    days = [datetime.date.fromisoformat(part) for part in text.split("/")]
    return days[0], days[-1]
