"""``summary.json`` says what the report says, in the documented schema, from every state that a sweep can be in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analysis.recommendation.page import write_report
from tests.analysis.conftest import Write, row
from tests.analysis.states import STATES, full

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "summary.schema.json").read_text())


def summary_of(folder: Path, **options: float) -> dict[str, Any]:
    told = json.loads((write_report(folder, **options).parent / "summary.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    return dict(told)


@pytest.mark.parametrize("state", [*STATES, "full"])
def test_every_state_of_a_sweep_has_a_summary_in_the_schema(write_sweep: Write, state: str) -> None:
    rows = full() if state == "full" else STATES[state]()
    told = summary_of(write_sweep(rows))
    assert sum(told["cells"].values()) == len(rows)


def test_it_has_the_recommended_settings_with_intervals_spread_caveats_and_verdicts(write_sweep: Write) -> None:
    rows = [
        row(10 * i + repeat, precision=p, step_median_s=s * (1 + repeat / 100), repeat=repeat, stability="unstable")
        for i, (p, s) in enumerate((("fp32", 0.1), ("bf16", 0.05))) for repeat in (1, 2, 3)
    ]  # fmt: skip
    told = summary_of(write_sweep(rows), max_latency_ms=90.0, price_per_hour=2.0)
    (chosen,) = told["recommended"]
    assert chosen["settings"]["precision"] == "bf16"
    assert [want["word"] for want in chosen["best_for"]] == ["speed", "latency", "memory", "cost"]
    assert chosen["n_runs"] == 3
    assert chosen["between_runs_sd_ratio"] == pytest.approx(0.0099, rel=0.05)
    speed = chosen["throughput_items_per_s"]
    assert speed["low"] < speed["value"] < speed["high"]
    assert chosen["cost_per_million_items"] == pytest.approx(1e6 / speed["value"] / 3600 * 2.0)
    (axis,) = told["axes"]
    assert (axis["setting"], axis["over"], axis["verdict"], axis["n_faster"]) == ("bf16", "fp32", "faster", 1)
    assert told["limits"] == {"max_latency_ms": 90.0}
    assert told["prices"] == {"price_per_hour": 2.0}
    assert any("unstable" in caveat["text"] and len(caveat["cells"]) == 2 for caveat in told["caveats"])
    weights = [caveat["weight"] for caveat in told["caveats"]]
    assert weights == sorted(weights, reverse=True)
    assert told["versions"]["torch"] == ["2.15"]
    assert "precision" not in json.dumps(told["answer"])
    assert "**cpu, bf16, batch 8**" in told["answer"][0]
