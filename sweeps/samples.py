"""Timed samples on their way into their table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sweeps.chooser import SampleBlock
from sweeps.schema import SAMPLES


def samples_table(key: str, blocks: Sequence[SampleBlock]) -> pa.Table | None:
    """Blocks of samples as a table of the samples schema; None without samples."""
    blocks = [block for block in blocks if len(block[2])]
    if not blocks:
        return None
    sizes = [len(seconds) for _, _, seconds, _ in blocks]
    n = sum(sizes)
    scheduled = [
        np.full(size, np.nan) if s is None else np.asarray(s, dtype=float)
        for (_, _, _, s), size in zip(blocks, sizes, strict=True)
    ]
    columns = {
        "trial_key": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([key])).cast(pa.string()),
        "phase": np.repeat([phase for phase, *_ in blocks], sizes),
        "round": np.repeat(np.array([b[1] for b in blocks], dtype=np.int32), sizes),
        "index": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        "seconds": np.concatenate([np.asarray(b[2], dtype=float) for b in blocks]),
        "scheduled_s": pa.array(np.concatenate(scheduled), from_pandas=True),
    }
    return pa.table({name: pa.array(c) if isinstance(c, np.ndarray) else c for name, c in columns.items()}).cast(
        SAMPLES
    )
