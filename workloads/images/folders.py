"""Folders of the user's images, however large or twisted: what in them is an image, what is left out, counted."""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workloads.base import BadInputError

log = logging.getLogger(__name__)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
MAX_LISTED = 100_000
"""Images that are looked for in one folder; of a larger one the rest is left alone, and the row says so."""
MAX_ENTRIES = 2 * MAX_LISTED
"""Names read of one folder, images or not. Of more than that which are read is the file system's choice."""
MAX_SUFFIXES_TOLD = 6
_OF_THE_SYSTEM = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information",
    "@eadir", "@__thumb", "#recycle", "#snapshot", "@recycle", "lost+found", "__pycache__",
}  # fmt: skip
"""What macOS, Windows, network storage and Python put beside a user's files, thumbnails of them among it."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's own input: hidden (``._photo.jpg`` too), or of the system."""
    return name.startswith(".") or name.lower() in _OF_THE_SYSTEM


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The image files under a folder.

    Attributes:
        paths: In order of folder and name.
        is_whole: Every file was looked at.
        n_hidden: Hidden files and folders, and those of the system, which were passed over.
        unread: Other files by suffix.
    """

    paths: tuple[Path, ...]
    is_whole: bool = True
    n_hidden: int = 0
    unread: Mapping[str, int] = field(default_factory=dict)

    def told(self, n_used: int) -> str:
        """How many of the images are used, in words; empty if all are."""
        n = f"{len(self.paths):,}" if self.is_whole else f"over {len(self.paths):,}"
        return "" if self.is_whole and n_used >= len(self.paths) else f" ({n_used:,} of {n} images)"

    @property
    def left_out(self) -> str | None:
        """What was passed over or is of no suffix that is read, counted, in words; None if nothing."""
        return _left_out(self.n_hidden, self.unread)


def together(listings: list[Listing]) -> Listing:
    """Several listings as one."""
    unread: Counter[str] = Counter()
    for listing in listings:
        unread.update(listing.unread)
    return Listing(
        paths=tuple(path for listing in listings for path in listing.paths),
        is_whole=all(listing.is_whole for listing in listings),
        n_hidden=sum(listing.n_hidden for listing in listings),
        unread=unread,
    )


def _left_out(n_hidden: int, unread: Mapping[str, int]) -> str | None:
    hidden = [f"{n_hidden:,} hidden or of the system"] if n_hidden else []
    suffixes = sorted(unread.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{n:,} {suffix or 'without a suffix'}" for suffix, n in suffixes[:MAX_SUFFIXES_TOLD]]
    rest = sum(n for _, n in suffixes[MAX_SUFFIXES_TOLD:])
    return ", ".join(hidden + told + ([f"{rest:,} of other suffixes"] if rest else [])) or None


class _Walk:
    """The image files under a folder, its own first; links to folders are not followed, so that none is entered twice.

    Attributes:
        n_hidden: See ``Listing``; of what was walked so far.
        unread: Likewise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.n_hidden = 0
        self.unread: Counter[str] = Counter()

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        with os.scandir(folder) as found:
            return sorted(itertools.islice(self._own(found), MAX_ENTRIES), key=lambda entry: entry.name)

    def _own(self, entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in entries:
            if is_hidden(entry.name):
                self.n_hidden += 1
            else:
                yield entry

    def __iter__(self) -> Iterator[Path]:
        """Paths in order.

        Raises:
            OSError: If the folder itself cannot be read; those under it that cannot are named in the log and left out.
        """
        waiting = [self._folder]
        while waiting:
            current = waiting.pop()
            try:
                entries = self._entries(current)
            except OSError as error:
                if current == self._folder:
                    raise
                log.warning("left out %r, which cannot be read: %s", current.name, error.strerror)
                continue
            waiting += [Path(entry.path) for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    continue
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix in IMAGE_SUFFIXES:
                    yield Path(entry.path)
                else:
                    self.unread[suffix] += 1


def check_folder(folder: Path, option: str) -> None:
    """Check that a folder holds an image, without listing more of it than that takes.

    Raises:
        BadInputError: If the folder is none, cannot be read, or holds no image; then with what it does hold.
    """
    if not os.path.isdir(folder):
        raise BadInputError(f"--{option}: {str(folder)!r} is not a folder")
    walk = _Walk(folder)
    try:
        first = next(iter(walk), None)
    except OSError as error:
        raise BadInputError(f"--{option}: {str(folder)!r} cannot be read ({error.strerror})") from error
    if first is None:
        there = _left_out(walk.n_hidden, walk.unread)
        held = f"; it has {there}" if there else ""
        raise BadInputError(f"--{option}: {str(folder)!r} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}){held}")


def list_images(folder: Path, option: str) -> Listing:
    """The image files under a folder, in order of name, at most ``MAX_LISTED``.

    Raises:
        BadInputError: See ``check_folder``.
    """
    check_folder(folder, option)
    walk = _Walk(folder)
    paths = tuple(itertools.islice(walk, MAX_LISTED + 1))
    return Listing(
        paths=paths[:MAX_LISTED], is_whole=len(paths) <= MAX_LISTED, n_hidden=walk.n_hidden, unread=walk.unread
    )


def tell_left_out(folder: Path, left_out: str | None) -> None:
    """Say in the log what of a folder is not read, if anything."""
    if left_out is not None:
        log.warning("not read in %r: %s", folder_name(folder), ascii(left_out)[1:-1])


def folder_name(folder: Path) -> str:
    """A folder's own name, which says where input came from; the home folder's name is the user's, and is not told."""
    real = os.path.realpath(folder)
    return "~" if real == os.path.realpath(os.path.expanduser("~")) else os.path.basename(real)
