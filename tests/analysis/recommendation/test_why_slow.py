"""The report says of profiled cells where the time goes, and what to try; of others it says nothing."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import load_profiles
from analysis.recommendation.page import write_report
from sweeps.store.schema import PROFILES
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")


def report(write_sweep: Write, rows: list[dict[str, Any]], longest: list[dict[str, Any]] = ()) -> str:  # type: ignore[assignment]
    folder = write_sweep(rows)
    if longest:
        (folder / "profiles").mkdir()
        pq.write_table(pa.Table.from_pylist(list(longest), schema=PROFILES), folder / "profiles/part-0.parquet")
        assert len(load_profiles(folder)) == len(longest)
    return write_report(folder).read_text()


def shares(host: float, copies: float, **values: Any) -> dict[str, Any]:
    told = {"host_share_ratio": host, "device_copy_share_ratio": copies, "computation_share_ratio": 1 - host - copies}
    return {**told, **values}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (shares(0.62, 0.1, device="cuda"), "62 % of the step is waiting for the host: capture it (--compile reduce-overhead) or"
         " enlarge the batch."),
        (shares(0.62, 0.1, device="cuda", compile="reduce-overhead"), "waiting for the host: enlarge the batch."),
        (shares(0.4, 0.0), "40 % of the step is outside PyTorch's operations, in the code that calls them: compile it (--compile"),
        (shares(0.35, 0.5, device="cuda"), "50 % of the step is copying: keep"),
        (shares(0.05, 0.05), "90 % of the step is computation; the longest is a\\_kernel&lt;int&gt; (81.0 %)."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_to_try(write_sweep: Write, values: dict[str, Any], said: str) -> None:
    longest = [{"trial_key": "k000", "rank": n, "name": name, "kind": "kernel", "n_calls": 1, "seconds": 0.1,
                "share_ratio": 0.9**n * 0.9} for n, name in ((2, "another"), (1, "a_kernel<int>"))]  # fmt: skip
    text = report(write_sweep, [row(0, **values), row(1, step_median_s=0.2)], longest)
    part = text.split("## Where the time goes")[1].split("\n## ")[0]
    assert said in part
    assert "a\\_kernel&lt;int&gt; (81.0 %); another (72.9 %)" in part


def test_without_a_profile_there_is_no_such_part_and_a_reason_has_one(write_sweep: Write) -> None:
    assert "Where the time goes" not in report(write_sweep, [row()])
    text = report(write_sweep, [row(profile_reason="the profiler failed: RuntimeError: no CUPTI")])
    assert "the profiler failed: RuntimeError: no CUPTI" in text.split("## Where the time goes")[1]
