"""Text from runs (labels, commands, reasons, folders) as each kind of page shows it: as text, whatever is in it."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)|:(?=//)")

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "·": r"$\cdot$",
}

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """Return text of one line in which every character shows: of others, the code."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def brief(text: str, most: int = 120) -> str:
    """Return the beginning of a text, with dots for what is left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def markdown(text: str) -> str:
    """Return text that Markdown, and a table of it, shows as it is."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", text)


def markdown_code(text: str) -> str:
    """Return text as a span of code, with more backticks around it than it holds in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text[:1] in ("", "`") or text[-1:] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def latex(text: str) -> str:
    """Return text that LaTeX sets as it is; the signs of our own headers become its symbols."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def csv_text(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
