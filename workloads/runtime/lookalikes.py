"""Files that are not what their name says: what a download or a checkout left in the place of weights or an image."""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 512
_BEGINNINGS: dict[bytes, str] = {
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer; `git lfs pull` fetches the file itself",
    b"/annex/objects/": "a git-annex pointer; `git annex get` fetches the file itself",
    b"../.git/annex/": "a git-annex pointer; `git annex get` fetches the file itself",
    b".git/annex/": "a git-annex pointer; `git annex get` fetches the file itself",
    b"\x89HDF\r\n": "an HDF5 file, as Keras writes",
    b"GGUF": "a GGUF file",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "compressed with gzip; decompress it",
    b"BZh": "compressed with bzip2; decompress it",
    b"\xfd7zXZ\x00": "compressed with xz; decompress it",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"%PDF": "a PDF document",
}
"""How files begin, and what they are; no file of weights or pixels begins so."""
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")


def told_by_head(head: bytes) -> str | None:
    """What a file is instead, told from its first ``HEAD_BYTES``, to be said after ``is``; None if nothing tells it."""
    if not head:
        return "empty"
    if not head.strip(b"\x00"):
        return "all zeros at its beginning, as an interrupted download leaves it"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES) or text.replace(b"\0", b"").removeprefix(b"\xff\xfe").startswith(_PAGES):
        return "an HTML page or other markup, as a download that returned a web page leaves it"
    if text.startswith((b'{"', b"{\n", b"{ ")) and not head.startswith(b"{ \x00"):
        return "JSON text, as a download that failed leaves it"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it"
    return next((what for beginning, what in _BEGINNINGS.items() if head.startswith(beginning)), None)


def lookalike(file: Path) -> str | None:
    """What a file is instead of what it was taken for; see ``told_by_head``.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as opened:
        return told_by_head(opened.read(HEAD_BYTES))
