"""Files that are something else than their name says."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
import torch
from PIL import Image

from workloads.runtime.lookalikes import told_by_head


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "a Git LFS pointer"),
        (b"\n\n  <!DOCTYPE html><html>", "an HTML page"),
        (b"\xef\xbb\xbf<html lang=en>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "an HTML page or other markup"),
        (b'{"error": "Repository not found"}', "JSON text"),
        (b"", "empty"),
        (bytes(512), "all zeros"),
        (gzip.compress(b"x", mtime=0), "compressed with gzip"),
        (b"/annex/objects/MD5E-s12--ab.pt", "a git-annex pointer"),
    ],
)
def test_it_is_told_from_its_first_bytes(head: bytes, told: str) -> None:
    assert (told_by_head(head) or "").startswith(told)


def test_weights_and_images_are_taken_for_nothing_else() -> None:
    for legacy in (True, False):
        weights = io.BytesIO()
        torch.save({"a": torch.zeros(3)}, weights, _use_new_zipfile_serialization=not legacy)
        assert told_by_head(weights.getvalue()[:512]) is None
    for kind in ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"):
        image = io.BytesIO()
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(image, kind)
        assert told_by_head(image.getvalue()[:512]) is None, kind
