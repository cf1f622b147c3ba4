"""What a report warns of, on hand-made rows."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.page.caveats import of_sweep
from analysis.page.caveats.caveat import as_markdown
from analysis.read.sweep import load_sweep
from tests.analysis.conftest import Write, row


def caveats(*arguments: Any) -> list[str]:
    return [caveat.text for caveat in of_sweep.caveats(*arguments)]


def test_a_sound_sweep_has_none(write_sweep: Write) -> None:
    assert caveats(load_sweep(write_sweep([row()])), 1, []) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"timing_verified": False}, "The timer did not pass its proof on cpu: times measured there cannot be trusted."),
        ({"timing_verified": None}, "The timer was not proven on cpu: the times of 1 of 2 cells may be wrong."),
        ({"weights": "random"}, "Random weights, since none were available: m. Speeds are valid; answers are meaningless."),
        ({"input_is_synthetic": True}, "Some input was made up: random numbers, or numbers like those of a model's example inputs."),
        ({"n_images_skipped": 1}, "1 input image did not decode and was left out."),
        ({"input_left_out": "2 .heic"}, "Files in the input folder that were not read: 2 .heic."),
        ({"stability": "very unstable"},
         "1 of 2 cells is very unstable: the interquartile range of the steps is over 25 % of the median."),
        ({"stability": "unstable"},
         "1 of 2 cells is unstable: the interquartile range of the steps is over 10 % of the median."),
        ({"is_throttled": True}, "1 of 2 cells ran while the device throttled."),
        ({"is_throttled": None, "throttle_reasons": "steps slowed by 49%"},
         "1 of 2 cells slowed down from the first to the last round for no reported reason: perhaps heat."),
        ({"device": "gpu", "device_settings": "A=1 PYTORCH_ENABLE_MPS_FALLBACK=1"},
         "1 of 2 cells ran with PYTORCH_ENABLE_MPS_FALLBACK set: what gpu lacks was computed by the CPU, copies included,"
         " under the device's name. Without it such a cell would end as unsupported."),
        ({"device": "gpu", "precision": "bf16", "precision_note": "bf16 is emulated, by its speed"},
         "On gpu bf16 is emulated, by its speed."),
        ({"is_drifting": True}, "1 of 2 cells drifted while measured."),
        ({"is_precise": False, "n_samples": 20, "step_median_s": 1.0, "step_median_low_s": 0.9, "step_median_high_s": 1.2},
         "1 of 2 cells ended at --max-s before the interval was as narrow as --precision-target asks; the widest is ±20 %."),
        ({"is_precise": False, "n_samples": 1, "step_median_low_s": None, "step_median_high_s": None},
         "1 of 2 cells took longer for one step than --max-s allows for a whole cell: its figures are from one step, without an"
         " interval."),
        ({"other_load_ratio": 0.5}, "1 of 2 cells shared the machine with other work that took over 10 % of its CPU time."),
        ({"leak_verdict": "leak"}, "1 of 2 cells leaks memory on every step."),
        ({"page_fault_bytes_per_step": 78 * 2.0**20, "system_time_ratio": 0.4},
         "1 of 2 cells spends up to 40 % of the processor time in page faults (78 MiB per step at batch 8 in fp32)."),
        ({"allocation_retries_per_step": 2.5, "device": "cuda"},
         "1 of 2 cells is slower because device memory is full: PyTorch's allocator released its"
         " cache and retried 2.5 times per step at batch 8 in fp32. A slightly smaller batch is faster."),
        ({"precision": "fp16", "computed_dtype": "bfloat16, float32"},
         "1 of 2 cells computed matrix products in a type other than that of their precision: fp16 in bfloat16 (1)."),
        ({"agreement_reason": "the reference's best class of all 64 items is 713"},
         "Agreement could not be judged in 1 of 2 cells: the reference's best class of all 64 items is 713."),
        ({"n_nonfinite": 3}, "1 of 2 cells gave NaN or infinity where the reference has none."),
        ({"top1_agreement_ratio": 0.9, "precision": "bf16"},
         "1 of 2 cells agreed with the reference on the best class for fewer than 99 % of the items; the lowest, 90.0 %,"
         " on cpu in bf16."),
        ({"host": "other"}, "The cells come from 2 machines."),
        ({"torch_version": "2.14"}, "The cells come from 2 versions of torch: 2.14, 2.15."),
    ],
)  # fmt: skip
def test_each_doubt_is_told(write_sweep: Write, values: dict[str, object], said: str) -> None:
    assert caveats(load_sweep(write_sweep([row(0), row(1, **values)])), 2, []) == [said]


def test_wrong_answers_are_named_with_how_far_they_are_off(write_sweep: Write) -> None:
    wrong = {"status": "error", "status_reason": "wrong-result", "pipeline": "geometric", "device": "cuda"}
    rows = [row(0, device="cuda", pipeline="geometric"),
            *(row(1 + i, **wrong, precision=p, max_rel_diff=d, batch_size=size)
              for i, (p, d, size) in enumerate([("tf32", 0.151, 1), ("tf32", 0.151, 64), ("bf16", 0.994, 1)]))]  # fmt: skip
    failed = row(4, status="error", status_reason=None, device="cuda", pipeline="sobel")
    assert caveats(load_sweep(write_sweep([*rows, failed])), 5, []) == [
        "3 of 4 cells gave a wrong answer, by up to 99 % of the largest value, which their precision does not explain; they"
        " are not recommended, whatever their speed: geometric, m, cuda, tf32; geometric, m, cuda, bf16."
    ]
    many = [row(i, **wrong, model=f"m{i}") for i in range(10)]
    (said,) = caveats(load_sweep(write_sweep(many)), 10, [])
    assert said.startswith("10 of 10 cells gave a wrong answer, which their")
    assert said.endswith("geometric, m7, cuda, fp32 and 2 more.")


def test_a_precision_that_a_processor_only_converts_is_told_with_its_instructions(write_sweep: Write) -> None:
    speeds = {"fp32": 135.8, "bf16": 8.822, "fp16": 120.0}
    rows = [
        row(i, precision=name, step_median_s=8 / speed, throughput_items_per_s=speed, cpu_capability="AVX2")
        for i, (name, speed) in enumerate(speeds.items())
    ]
    assert caveats(load_sweep(write_sweep(rows)), 3, []) == [
        "bf16 takes 15 times as long as fp32 on cpu: a processor without instructions for it converts every number;"
        " PyTorch uses AVX2 here. --precision fp32 leaves it out."
    ]
    assert caveats(load_sweep(write_sweep([{**r, "device": "cuda"} for r in rows])), 3, []) == []


def test_a_fallback_that_is_off_and_the_cpus_own_cells_are_no_reason_to_doubt(write_sweep: Write) -> None:
    quiet = [{"device": "gpu", "device_settings": "PYTORCH_ENABLE_MPS_FALLBACK=0 X=1"}, {"device": "gpu"},
             {"device": "cpu", "device_settings": "PYTORCH_ENABLE_MPS_FALLBACK=1"}]  # fmt: skip
    rows = [row(i, **values) for i, values in enumerate(quiet)]
    assert caveats(load_sweep(write_sweep(rows)), 3, []) == []


def test_what_a_runtime_left_to_the_cpu_is_told(write_sweep: Write) -> None:
    nodes = ["CoreML 210", "CoreML 200, CPU 3", None]
    rows = [row(i, device="gpu", nodes_by_provider=told, runtime="onnxruntime") for i, told in enumerate(nodes)]
    assert caveats(load_sweep(write_sweep(rows)), 3, []) == [
        "1 of 3 cells on gpu left a part of the network to another provider of their runtime, copies included"
        " (nodes by provider): m in fp32: CoreML 200, CPU 3."
    ]


def test_a_slow_precision_of_a_cpu_is_told_once(write_sweep: Write) -> None:
    rows = [
        row(i, precision=name, step_median_s=s, throughput_items_per_s=8 / s, precision_note=note)
        for i, (name, s, note) in enumerate([("fp32", 1.0, None), ("bf16", 4.0, "bf16 is emulated")])
    ]
    (said,) = caveats(load_sweep(write_sweep(rows)), 2, [])
    assert said.startswith("bf16 takes 4 times")
    (said,) = caveats(load_sweep(write_sweep(rows[1:])), 1, [])
    assert said == "On cpu bf16 is emulated."


def test_on_linux_the_reader_is_told_how_to_keep_the_memory_and_a_gpus_host_is_no_matter(write_sweep: Write) -> None:
    anew = {"page_fault_bytes_per_step": 2.0**26, "system_time_ratio": 0.3, "os": "Linux 6.1 x86_64"}
    (said,) = caveats(load_sweep(write_sweep([row(0, **anew), row(1, **anew | {"system_time_ratio": 0.2})])), 2, [])
    assert said.startswith("2 of 2 cells spend up to 30 % of the processor time in page faults")
    assert "`--allocator default kept` measures what it costs" in as_markdown(said)
    assert "with `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184` set before a command" in as_markdown(said)
    calm = [
        anew | change
        for change in ({"device": "cuda"}, {"system_time_ratio": 0.1}, {"page_fault_bytes_per_step": 4096.0})
    ]
    rows = [row(i, **values) for i, values in enumerate(calm)]
    assert not any("anew" in said for said in caveats(load_sweep(write_sweep(rows)), 3, []))


def test_cells_that_failed_are_no_reason_to_doubt_the_others(write_sweep: Write) -> None:
    frame = load_sweep(write_sweep([row(0), row(1, status="error", stability="very unstable", timing_verified=None)]))
    assert caveats(frame, None, []) == []


def test_what_is_heaviest_comes_first(write_sweep: Write) -> None:
    rows = [row(0, stability="unstable", step_iqr_ratio=0.12), row(1, weights="random"), row(2, timing_verified=False)]
    told = caveats(load_sweep(write_sweep(rows)), 5, ["part-x.parquet"])
    assert [words[:12] for words in told] == [
        "The timer di",
        "1 of 3 cells",
        "1 file could",
        "2 of the 5 c",
        "Random weigh",
    ]
    faults = {"page_fault_bytes_per_step": 2.0**26, "os": "Linux 6"}
    shares = [row(i, system_time_ratio=0.69 if i < 3 else 0.0, **faults) for i in range(6)]
    shares += [row(6, stability="very unstable", step_iqr_ratio=0.3)]
    first, second = of_sweep.caveats(load_sweep(write_sweep(shares, "shares")), None, [])
    assert first.text.startswith("3 of 7 cells spend up to 69 % of the processor time in page faults")
    assert first.keys == ["k000", "k001", "k002"]
    assert second.keys == ["k006"]


def test_a_caveat_links_to_its_worst_cells_unless_it_is_about_all(write_sweep: Write) -> None:
    rows = [
        row(i, batch_size=2**i, stability="unstable" if i < 5 else "stable", step_iqr_ratio=0.1 + i / 50)
        for i in range(6)
    ]
    frame = load_sweep(write_sweep(rows))
    (unstable,) = of_sweep.caveats(frame, None, [])
    assert unstable.told(frame).endswith(
        " They are: [cpu, fp32, batch 16](#cell-k004); [cpu, fp32, batch 8](#cell-k003);"
        " [cpu, fp32, batch 4](#cell-k002) and 2 more."
    )
    assert unstable.told(frame.head(5)) == unstable.markdown, "of all cells the names say nothing"


def test_many_unreadable_files_are_counted_and_some_named(write_sweep: Write) -> None:
    (told,) = caveats(load_sweep(write_sweep([row()])), 1, [f"part-{i}.parquet" for i in range(7)])
    assert told.startswith(
        "7 files could not be read, or do not belong to the sweep, and were left out: part-0.parquet"
    )
    assert told.endswith("part-4.parquet and 2 more.")


def test_computers_with_the_same_host_name_are_told_apart_by_their_processors(write_sweep: Write) -> None:
    rows = [row(0, cpu_name="one"), row(1, cpu_name="other"), row(2, cpu_name=None)]
    assert caveats(load_sweep(write_sweep(rows)), None, []) == ["The cells come from 2 machines."]


OLDER = "Measured with torch {}, older than the 2.14 that accelsweep asks for."


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"torch_version": "2.11.0+cu128"}, OLDER.format("2.11.0+cu128")),
        ({"torch_version": "2.9.1", "compile": "default", "compile_s": 3.0, "precision": "fp16"},
         OLDER.format("2.9.1") + " 1 of 1 cell was compiled under autocast without proof of the type they computed in: the"
         " compiler's cache did not distinguish autocast's types, and may have served one precision's code to another"
         " (PyTorch's pull request 181564)."),
        ({"torch_version": "2.11.0", "compile": "default", "compile_s": 3.0, "precision": "fp16",
          "computed_dtype": "float16"}, OLDER.format("2.11.0")),
        ({"torch_version": "2.13.0", "device": "gpu", "os": "macOS 26.1", "workload": "finetune", "precision": "fp16"},
         OLDER.format("2.13.0") + " 1 of 1 cell was trained in fp16 by fused AdamW, which ignored the gradients' scale on"
         " Apple GPUs."),
    ],
)  # fmt: skip
def test_an_older_torch_is_told_first_with_what_is_known_of_it(write_sweep: Write, values, said: str) -> None:
    assert caveats(load_sweep(write_sweep([row(**values)])), 1, [])[0] == said
