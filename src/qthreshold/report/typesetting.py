"""PDF pages and PNG pictures, made by typst (extra ``pdf``). Texts reach it as data, so that nothing in them is markup."""

import importlib.resources
from collections.abc import Mapping
from pathlib import PurePath

import matplotlib
import typst

__all__ = ["document", "picture"]

_PPI = 160.0
_PICTURE = b'#set page(width: auto, height: auto, margin: 0pt)\n#image("picture.svg")\n'


def document(values: str, pictures: Mapping[str, str]) -> bytes:
    """The report as PDF, tagged for readers that read aloud.

    Args:
        values: What it says, as JSON.
        pictures: SVG of each figure, by name.
    """
    template = importlib.resources.files("qthreshold.report").joinpath("templates", "report.typ").read_bytes()
    return _compiled(template, pictures, "pdf", {"data": values})


def picture(svg: str) -> bytes:
    """An SVG as PNG."""
    return _compiled(_PICTURE, {"picture": svg}, "png", {})


def _compiled(main: bytes, pictures: Mapping[str, str], form: str, inputs: dict[str, str]) -> bytes:
    files = {"main": main, **{f"{name}.svg": text.encode() for name, text in pictures.items()}}
    made = typst.compile(  # type: ignore[call-overload]  # its stubs do not know that a mapping of files is accepted
        files, format=form, ppi=_PPI, sys_inputs=inputs, font_paths=[str(PurePath(matplotlib.get_data_path()) / "fonts" / "ttf")], timestamp=0
    )
    return bytes(made[0] if isinstance(made, list) else made)
