"""The self-test passes here for good reasons: each of its proofs fails where what it proves does not hold."""

from __future__ import annotations

import dataclasses
import gc
import getpass
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sweeps.commands import SelfTest, _selftest
from sweeps.measure import ceilings, proofs, selftest
from sweeps.measure.monitors import leak
from sweeps.measure.proofs import GENERAL, PER_DEVICE
from sweeps.measure.selftest import Proof, run_selftest
from sweeps.measure.timing.clock import Timer

CPU = torch.device("cpu")
PROOFS = dict(PER_DEVICE) | {name: lambda _device, check=check: check() for name, check in GENERAL}


class BlindTimer(Timer):
    """Does the work and says that it took no time."""

    def time(self, step, n_steps: int = 1) -> float:
        super().time(step, n_steps)
        return 0.0


class SlowTimer(Timer):
    def time(self, step, n_steps: int = 1) -> float:
        return super().time(step, n_steps) + 0.01


class BlindMonitor:
    """Has seen nothing, ever."""

    def __init__(self, device: torch.device) -> None: ...

    def __enter__(self) -> BlindMonitor:
        return self

    def __exit__(self, *_: object) -> None: ...

    def columns(self) -> dict[str, int]:
        return {"peak_rss_bytes": 10**9, "device_peak_allocated_bytes": 10**9}


class StillCounter:
    name, domain, period_s = "a counter", "a domain", 1e-4

    def read_j(self) -> float:
        return 5.0


class WorkingCounter(StillCounter):
    def __init__(self) -> None:
        self._joules = 0.0

    def read_j(self) -> float:
        self._joules += 1.0
        return self._joules


REAL = {name: getattr(proofs, name) for name in ("median_interval", "percentiles", "wrong_reason", "compare_outputs")}


def narrow_interval(samples: object, **_: object) -> object:
    interval = REAL["median_interval"](samples)
    return dataclasses.replace(interval, low=interval.median, high=interval.median)


def generous_percentiles(samples: object) -> dict[str, float]:
    return dict.fromkeys(REAL["percentiles"](samples), 1.0)


def nothing_but_same(outputs: torch.Tensor, reference: torch.Tensor) -> object:
    return REAL["compare_outputs"](outputs + 1, reference)


def a_leak(verdict: str) -> object:
    none = dict.fromkeys(field.name for field in dataclasses.fields(leak.LeakResult))
    result = leak.LeakResult(**{**none, "leak_verdict": verdict, "leak_shapes": "fixed"})  # type: ignore[arg-type]
    return lambda *_, **__: result


def copies_without_a_rate(*arguments: object, **options: object) -> object:
    return SimpleNamespace(
        h2d_pageable_bytes_per_s=0.0, d2h_pageable_bytes_per_s=1.0, copy_in_s=1.0, h2d_pinned_bytes_per_s=None
    )


SABOTAGE = [
    ("percentiles need their samples", "percentiles", generous_percentiles),
    ("intervals keep their promise", "median_interval", narrow_interval),
    ("the timer waits for the device", "verify_timing", lambda device: SimpleNamespace(verified=False, detail="")),
    ("the timer is cheap", "Timer", SlowTimer),
    ("precisions", "unsupported_reason", lambda device, precision: "lacks it"),
    ("right answers pass, wrong ones do not", "wrong_reason", lambda *_: None),
    ("right answers pass, wrong ones do not", "wrong_reason", lambda *_: "always wrong"),
    ("right answers pass, wrong ones do not", "compare_outputs", nothing_but_same),
    ("errors are understood", "is_out_of_memory", lambda error: False),
    ("errors are understood", "is_unsupported", lambda error: True),
    ("errors are understood", "is_unsupported", lambda error: False),
    ("peak memory is seen", "MemoryMonitor", BlindMonitor),
    ("a leak is found, a clean loop passes", "check_leak", a_leak("none")),
    ("a leak is found, a clean loop passes", "check_leak", a_leak("leak")),
    ("a leak is found, a clean loop passes", "check_leak", a_leak("undecided")),
    ("transfers", "measure_transfers", copies_without_a_rate),
    ("energy", "open_energy_source", lambda device: StillCounter()),
    ("ceilings", "measure_flop_ceiling", lambda device, precision: None),
    ("ceilings", "measure_copy_ceiling", lambda device: None),
]


@pytest.mark.parametrize(("proof", "name", "broken"), SABOTAGE)
def test_a_proof_fails_where_what_it_proves_is_broken(
    monkeypatch: pytest.MonkeyPatch, proof: str, name: str, broken: object
) -> None:
    monkeypatch.setattr(proofs, "LEAK_CHECK_S", 0.1)
    monkeypatch.setattr(proofs, "measure_flop_ceiling", lambda device, precision: 1e9)  # whose products take long
    monkeypatch.setattr(proofs, name, broken)
    passed, detail = PROOFS[proof](CPU)
    assert passed is False
    assert isinstance(detail, str)


def test_every_proof_is_sabotaged_above_but_the_one_that_only_reads() -> None:
    assert set(PROOFS) - {proof for proof, _, _ in SABOTAGE} == {"conditions can be read"}


def test_the_proof_of_the_timer_is_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "verify_timing", verify_with_blind_timer)
    passed, detail = PROOFS["the timer waits for the device"](CPU)
    assert passed is False
    assert "does not grow" in detail


def verify_with_blind_timer(device: torch.device) -> object:
    from sweeps.measure.timing.timer_proof import verify_timing

    return verify_timing(device, BlindTimer(device), tries=1)


def test_a_busy_machine_is_noted_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(BlindMonitor):
        def columns(self) -> dict[str, object]:  # type: ignore[override]
            return {"other_load_ratio": 0.4, "temperature_end_c": 81.0, "clock_mhz": 990.0, "is_throttled": True,
                    "throttle_reasons": "thermal"}  # fmt: skip

    monkeypatch.setattr(proofs, "ConditionMonitor", Busy)
    monkeypatch.setattr(proofs.time, "sleep", lambda seconds: None)
    passed, detail = PROOFS["conditions can be read"](CPU)
    assert passed is None
    assert detail.startswith("other processes take 40% of the CPU, 81 C, 990.0 MHz, throttling thermal: measure on a")


def test_a_counter_that_works_is_told_with_its_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WorkingCounter()
    monkeypatch.setattr(proofs, "open_energy_source", lambda device: source)
    passed, detail = PROOFS["energy"](CPU)
    assert passed is True
    assert detail.endswith("W under load")


def test_a_counter_too_slow_for_a_minute_is_noted_with_the_window_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = WorkingCounter()
    source.period_s = 2.5  # type: ignore[misc]
    monkeypatch.setattr(proofs, "open_energy_source", lambda device: source)
    passed, detail = PROOFS["energy"](CPU)
    assert passed is None
    assert "windows of 25 s count" in detail


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "GENERAL", (("a thing", lambda: (True, "seen")),))

    def breaks(device: torch.device) -> tuple[bool, str]:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(
        selftest, "PER_DEVICE", (("this breaks", breaks), ("cannot be shown", lambda device: (None, "no counter")))
    )


def test_a_proof_that_raises_has_failed_and_the_others_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    lines: list[str] = []
    found = run_selftest(["cpu"], lines.append)
    assert [(proof.name, proof.device, proof.passed) for proof in found] == [
        ("a thing", "-", True), ("this breaks", "cpu", False), ("cannot be shown", "cpu", None),
    ]  # fmt: skip
    assert found[1].detail == "RuntimeError: first line second line"
    assert [line.split()[0] for line in lines] == ["ok", "cpu:", "FAILED", "note", "1"]
    assert lines[-1].startswith("1 ok, 1 failed, 1 to note")
    assert all("\n" not in line for line in lines)


def test_the_exit_code_is_1_if_anything_failed_and_0_for_mere_notes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    assert _selftest(SelfTest(device=("cpu",))) == 1
    monkeypatch.setattr(selftest, "PER_DEVICE", selftest.PER_DEVICE[1:])
    assert _selftest(SelfTest(device=("cpu",))) == 0
    assert "to note" in capsys.readouterr().out


def test_a_device_that_is_not_here_is_refused_before_anything_is_run() -> None:
    lines: list[str] = []
    with pytest.raises(ValueError, match="'abacus' is not on this machine"):
        run_selftest(["cpu", "abacus"], lines.append)
    assert lines == []


def test_a_line_holds_verdict_device_name_and_what_was_seen() -> None:
    proof = Proof(name="the timer waits", device="cpu", passed=False, detail="it does not", seconds=1.26)
    assert proof.line().split() == ["FAILED", "cpu", "the", "timer", "waits", "it", "does", "not", "(1.3", "s)"]


def test_the_whole_selftest_runs_on_this_machines_cpu_and_is_fit_for_a_bug_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ceilings, "MAX_PRODUCTS_S", 0.0)
    gc.freeze()  # looking for a leak collects garbage time and again
    lines: list[str] = []
    found = run_selftest(["cpu"], lines.append)
    assert [proof.name for proof in found] == [name for name, _ in (*GENERAL, *PER_DEVICE)]
    assert [proof.line() for proof in found if proof.passed is False] == []
    assert sum(proof.passed is True for proof in found) >= 10
    assert sum(proof.seconds for proof in found) < 60
    text = "\n".join(lines)
    assert torch.__version__ in text
    private = [str(Path.home()), str(Path.cwd())]
    private += [name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4]
    assert [word for word in private if word in text] == []


@pytest.mark.gpu
def test_the_whole_selftest_runs_on_an_accelerator() -> None:
    from sweeps.measure.device.device import available_devices

    found = run_selftest([available_devices()[1]], None)
    assert [proof.line() for proof in found if proof.passed is False] == []
