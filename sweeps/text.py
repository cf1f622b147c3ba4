"""Text that others wrote, as a terminal and as results may hold it: no escape codes, no user name, no home folder."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

from workloads.runtime.words import shortened

MAX_LINE = 500
"""Characters of one line of an error on the terminal: a name may be megabytes long."""
_PACKAGE = re.compile(r"(?:~?/[^\s'\",:]+)+/(site-packages|dist-packages)/")
_FOLDERS = re.compile(r"~?(?:/[^\s'\",:/]+){2,}/(?=[^\s'\",:/]+)")
_ANY_HOME = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^\s'\",:;()<>/\\]+")


def figure(value: float) -> str:
    """A number in four significant digits, thousands in full: ``0.002``, ``98.24``, ``13,250``."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.4g}"


def cells_told(n_cells: int) -> str:
    """``1 cell``, ``4 cells``."""
    return f"{n_cells} {'cell' if n_cells == 1 else 'cells'}"


def printable(text: object) -> str:
    """Text as it can be shown on one line: what a terminal would act on, or cannot encode, as escapes."""
    line = str(text)
    # repr escapes control characters, ends of lines, changes of the writing direction and halves of characters alike.
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def one_line(text: object) -> str:
    """Printable text of at most ``MAX_LINE`` characters; the middle of a longer one is left out."""
    return shortened(printable(text), MAX_LINE)


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: the bytes of a file name that are none are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _homes() -> list[str]:
    """The home folder under its own name and the one that links lead to, longest first; none for no user's folder."""
    home = os.path.expanduser("~")  # never raises, unlike Path.home: without any home it gives "~" back
    names = {os.path.normpath(home), os.path.realpath(home)} - {os.sep, ".", "~"}
    return sorted(names, key=len, reverse=True)


def without_home(text: str) -> str:
    """Text in which the home folder is ``~``."""
    choices = "|".join(map(re.escape, _homes()))
    return re.sub(rf"(?<![\w.~-])(?:{choices})(?![\w-])", "~", text) if choices else text


def without_paths(text: str) -> str:
    """Shorten paths to their package or file, so that results carry no user name and no home folder."""
    text = _PACKAGE.sub("", without_home(text))
    return _ANY_HOME.sub("~", _FOLDERS.sub(".../", text))


def portable_path(path: Path) -> str:
    """A path that means the same in every process of this user: absolute, and ``~/...`` where it is under home."""
    absolute = os.path.abspath(os.path.expanduser(path))
    for start in _homes():
        if absolute == start or absolute.startswith(start + os.sep):
            return "~" + absolute[len(start) :]
    return absolute


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, for SQLAlchemy and what stands on it, whatever the path means in a URL.

    Such a path goes as SQLite's own URI (sqlite.org/uri.html). SQLAlchemy writes it as it reads it itself: version 2.1
    takes quoting off a file's name, 2.0 does not; and Optuna formats braces.
    """
    from sqlalchemy import URL

    plain, quoted = os.fspath(path), urllib.parse.quote(os.fspath(path))
    is_plain = plain == quoted
    url = URL.create(
        "sqlite", database=plain if is_plain else f"file:{quoted}", query={} if is_plain else {"uri": "true"}
    )
    return url.render_as_string(hide_password=False)


def usable_path(path: Path) -> Path:
    """The path with ``~`` as the user's home; as it is if there is no such user."""
    return Path(os.path.expanduser(path))
