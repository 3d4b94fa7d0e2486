"""Base of all file schemas."""

import pydantic

__all__ = ["Schema"]


class Schema(pydantic.BaseModel):
    """Unknown fields are errors, instances do not change, infinities and NaN are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
