"""The classes of a folder of images, one sub-folder a class; or of one that holds the split that others made."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from workloads.base import BadInputError
from workloads.images.folders import Listing, check_folder, folder_name, is_hidden, list_images, tell_left_out, together

log = logging.getLogger(__name__)
TRAIN = ("train", "training")
HELD_OUT = ("val", "valid", "validation", "dev", "eval", "test", "testing")
"""What the folders of a split are called, upper case or lower; of several to hold out the first is taken."""


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """Where the images of each class lie.

    Attributes:
        classes: Names, in order of label: those of the training part.
        train: The folder whose sub-folders are the classes.
        heldout: Likewise, of the split's part to hold out, which may lack classes; None where there is no split.
        unused: Names of further folders beside a split's, which are not read.
    """

    classes: tuple[str, ...]
    train: Path
    heldout: Path | None = None
    unused: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Path, ...]:
        """The folders to read, that to train on first."""
        return (self.train,) if self.heldout is None else (self.train, self.heldout)

    @property
    def split_told(self) -> str:
        """The split in words; empty without one."""
        return "" if self.heldout is None else f", split as {self.train.name}/ and {self.heldout.name}/"

    def listings(self, part: Path) -> dict[str, Listing]:
        """The images of one of ``parts`` by class."""
        return {folder.name: list_images(folder, "data") for folder in _sub_folders(part)[0]}

    def left_out(self, everything: Listing) -> str | None:
        """What is not read of the folder, in words; None if nothing."""
        n_hidden = sum(_sub_folders(part)[1] for part in self.parts)
        beside = together([everything, Listing(paths=(), n_hidden=n_hidden)]).left_out
        folders = ", ".join(f"{name}/" for name in self.unused) or None
        return "; ".join(filter(None, (folders, beside))) or None


def _sub_folders(folder: Path) -> tuple[list[Path], int]:
    """The sub-folders of a folder, by name, but no link that leads back up; and how many entries are hidden.

    Raises:
        BadInputError: If it cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        raise BadInputError(f"--data: {str(folder)!r} cannot be read ({error.strerror})") from error
    names = sorted(e.name for e in entries if not is_hidden(e.name) and os.path.isdir(e.path))
    real = os.path.realpath(folder)
    above = {real, *map(str, Path(real).parents)}
    own = [folder / name for name in names if os.path.realpath(folder / name) not in above]
    return own, sum(is_hidden(entry.name) for entry in entries)


def _named(folders: list[Path], names: tuple[str, ...]) -> list[Path]:
    """Those of the folders that are called so, in the order of the names."""
    return sorted((f for f in folders if f.name.lower() in names), key=lambda f: names.index(f.name.lower()))


def _split(folder: Path, folders: list[Path]) -> ClassFolders | None:
    """The split that a folder holds; None if its sub-folders are classes.

    Raises:
        BadInputError: If they are called like a split's and are none.
    """
    train, heldout = _named(folders, TRAIN)[:1], _named(folders, HELD_OUT)
    others = [f for f in folders if f not in (*train, *heldout)]
    if not (train or heldout) or (others and not (train and heldout)):
        return None
    classes = [part.name for part in _sub_folders(train[0])[0]] if train else []
    for part in heldout:
        held = {f.name for f in _sub_folders(part)[0]}
        if held and held <= set(classes):
            unused = tuple(f.name for f in folders if f not in (train[0], part))
            return ClassFolders(classes=tuple(classes), train=train[0], heldout=part, unused=unused)
    if others and not (classes and any(_sub_folders(part)[0] for part in heldout)):
        return None  # classes of their own that happen to be called so
    if len(folders) == 1:
        return None
    names = " and ".join(f"{f.name}/" for f in (*train, *heldout))
    raise BadInputError(
        f"--data: {str(folder)!r} has {names}, which is taken for a split; that needs train/ and val/ or test/ with"
        " sub-folders of the same classes. Name the one whose sub-folders are the classes:"
        f" --data {folder_name(folder)}/{(train or heldout)[0].name}"
    )


def find_classes(folder: Path) -> ClassFolders:
    """The classes of a folder with one sub-folder per class, or with ``train/`` and ``val/`` of such.

    Raises:
        BadInputError: If it is none, or has fewer than two classes, or a class without images.
    """
    if not os.path.isdir(folder):
        raise BadInputError(f"--data: {str(folder)!r} is not a folder")
    folders = _sub_folders(folder)[0]
    found = _split(folder, folders)
    if found is None:
        found = ClassFolders(classes=tuple(f.name for f in folders), train=folder)
    if len(found.classes) < 2:
        where = str(folder if found.heldout is None else found.train)
        raise BadInputError(f"--data: {where!r} has {len(found.classes)} class folders; two or more are needed")
    for part in found.parts:
        for class_folder in _sub_folders(part)[0]:
            check_folder(class_folder, "data")
    return found


def check_image_folder(folder: Path) -> tuple[str, ...]:
    """The classes of a folder; what is not read of it, and a split that it holds, are said in the log.

    Raises:
        BadInputError: See ``find_classes``.
    """
    found = find_classes(folder)
    if found.heldout is not None:
        log.warning(
            "%r is already split: %s/ is trained on, %s/ is held out",
            folder_name(folder), found.train.name, found.heldout.name,
        )  # fmt: skip
    listings = [listing for part in found.parts for listing in found.listings(part).values()]
    tell_left_out(folder, found.left_out(together(listings)))
    return found.classes
