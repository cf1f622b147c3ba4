"""The columns of the three Parquet tables: name, type, unit and meaning, written once.

README's table of columns is made from this file (``accelsweep schema``). A column that a cell has no value
for is null, never 0. Add columns at the end of a group; raise SCHEMA_VERSION when a column changes meaning.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

_STRING, _BOOL, _INT, _FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

STATUSES = ("complete", "pruned", "oom", "unsupported", "timeout", "crashed", "error")
"""How a cell can end; every cell of a grid ends as exactly one of these."""

# (group, [(column, type, unit, meaning)])
_TRIAL_GROUPS: list[tuple[str, list[tuple[str, pa.DataType, str, str]]]] = [
    ("identity", [
        ("schema_version", pa.int16(), "", "version of this table"),
        ("sweep_id", _STRING, "", "the sweep's folder name"),
        ("trial_key", _STRING, "", "hash of the cell's configuration; the same cell has the same key in every sweep"),
        ("trial_index", _INT, "", "position of the cell in the grid, from 0"),
        ("status", _STRING, "", "one of complete, pruned, oom, unsupported, timeout, crashed, error"),
        ("status_reason", _STRING, "", "what made the status, in few words: what is unsupported, wrong-result"),
        ("error_type", _STRING, "", "class of the exception that ended the cell"),
        ("error_message", _STRING, "", "its message"),
        ("error_frames", _STRING, "", "its last frames, innermost last"),
        ("started_at", _TIME, "", "when the cell began, by the worker's clock"),
        ("wall_s", _FLOAT, "s", "from the cell's beginning to its end, all phases, monotonic clock"),
    ]),
    ("cell", [
        ("workload", _STRING, "", "image-processing, inference, finetune or a third party's name"),
        ("device", _STRING, "", "cpu or the accelerator's type"),
        ("model", _STRING, "", "model name, or none"),
        ("batch_size", _INT, "items", "items per step as asked"),
        ("precision", _STRING, "", "fp32 (strict), tf32, bf16 or fp16 (autocast)"),
        ("memory_format", _STRING, "", "contiguous or channels_last"),
        ("compile", _STRING, "", "torch.compile mode, or none"),
        ("pipeline", _STRING, "", "image-processing: which pipeline"),
        ("implementation", _STRING, "", "eager, compiled or fused (image-processing), frozen (inference)"),
        ("tune", _STRING, "", "finetune: head or full"),
        ("augment", _STRING, "", "finetune: none, crop or crop-flip"),
        ("feed", _STRING, "", "finetune: resident, or streamed from files"),
        ("learning_rate", _FLOAT, "", "finetune: AdamW's learning rate"),
        ("scenario", _STRING, "", "inference: offline, single-stream, multi-stream or server"),
        ("rate_per_s", _FLOAT, "1/s", "server scenario: mean arrival rate of requests"),
        ("node", _STRING, "", "the kind of node asked for, where that is an axis"),
        ("seed", _INT, "", "seed of every random generator"),
        ("options", _STRING, "", "every option of the workload, as JSON"),
    ]),
    ("input", [
        ("item", _STRING, "", "what is counted, such as images"),
        ("items_per_step", _INT, "items", "items one step works through"),
        ("input_shape", _STRING, "", "channels x height x width of one item"),
        ("input_source", _STRING, "", "where the items come from"),
        ("input_is_synthetic", _BOOL, "", "true if the input is random numbers, which only a flag causes"),
        ("n_images_skipped", _INT, "images", "input files that did not decode"),
        ("weights", _STRING, "", "imagenet, random, or the file's name"),
        ("n_train_items", _INT, "items", "finetune: training items"),
        ("n_heldout_items", _INT, "items", "finetune: held-out items"),
    ]),
    ("phases", [
        ("setup_s", _FLOAT, "s", "loading the input and the model"),
        ("first_step_s", _FLOAT, "s", "the very first step, with compilation and lazy initialisation"),
        ("compile_s", _FLOAT, "s", "first step less the median step where the step goes through torch.compile, else null"),
        ("warmup_s", _FLOAT, "s", "all warm-up steps, the first one included; never part of the statistics"),
        ("n_warmup_steps", _INT, "steps", "warm-up steps until the stopping rule held"),
        ("measured_s", _FLOAT, "s", "sum of the measured steps"),
        ("n_rounds", _INT, "rounds", "rounds of measurement"),
        ("n_samples", _INT, "samples", "timed samples"),
        ("steps_per_sample", _INT, "steps", "steps between two synchronisations; percentiles are null unless it is 1"),
    ]),
    ("timing", [
        ("timing_verified", _BOOL, "", "true if work of known growth grew as it must in this device's timer"),
        ("timer_overhead_s", _FLOAT, "s", "one empty timed sample"),
        ("step_median_s", _FLOAT, "s", "median step"),
        ("step_median_low_s", _FLOAT, "s", "lower end of its 95 % interval (order statistics)"),
        ("step_median_high_s", _FLOAT, "s", "upper end"),
        ("step_iqr_ratio", _FLOAT, "1", "interquartile range over median"),
        ("throughput_items_per_s", _FLOAT, "items/s", "items per step over the median step; server: completed over time"),
        ("throughput_low_items_per_s", _FLOAT, "items/s", "lower end of its 95 % interval"),
        ("throughput_high_items_per_s", _FLOAT, "items/s", "upper end"),
        ("is_precise", _BOOL, "", "the interval is within the precision target"),
        ("stability", _STRING, "", "stable, unstable (IQR over 10 % of the median) or very unstable (over 25 %)"),
        ("drift_ratio", _FLOAT, "1", "change of the step from first to last round by a robust line, over the median"),
        ("is_drifting", _BOOL, "", "the drift is significant (Kendall, 1 %) and over 5 %"),
        ("is_throttled", _BOOL, "", "clock or thermal throttling was reported while measuring; null if unknown"),
        ("throttle_reasons", _STRING, "", "the reasons reported"),
        ("temperature_start_c", _FLOAT, "degC", "device temperature before"),
        ("temperature_end_c", _FLOAT, "degC", "device temperature after"),
        ("clock_mhz", _FLOAT, "MHz", "device clock after the last round"),
        ("other_load_ratio", _FLOAT, "1", "share of the machine's CPU time that other processes took"),
    ]),
    ("latency", [
        ("latency_p50_s", _FLOAT, "s", "percentiles of the step, server: from the scheduled arrival; p50 from 11 samples"),
        ("latency_p90_s", _FLOAT, "s", "from 64 samples, else null"),
        ("latency_p95_s", _FLOAT, "s", "from 130 samples, else null"),
        ("latency_p99_s", _FLOAT, "s", "from 662 samples, else null"),
        ("latency_p999_s", _FLOAT, "s", "from 6636 samples, else null"),
        ("deadline_s", _FLOAT, "s", "server: latency limit asked for"),
        ("completed_rate_per_s", _FLOAT, "1/s", "server: requests completed per second"),
        ("max_rate_per_s", _FLOAT, "1/s", "server: highest rate whose p99 held the limit"),
        ("n_requests", _INT, "requests", "server: requests scheduled"),
        ("n_missed", _INT, "requests", "server: completed later than the limit"),
        ("n_dropped", _INT, "requests", "server: dropped from a full queue"),
        ("queue_mean", _FLOAT, "requests", "server: mean requests waiting, seen by an arrival"),
        ("queue_max", _INT, "requests", "server: most requests waiting"),
    ]),
    ("transfers", [
        ("copy_in_s", _FLOAT, "s", "one batch from pageable host memory to the device"),
        ("compute_s", _FLOAT, "s", "the step on a batch already on the device"),
        ("copy_out_s", _FLOAT, "s", "its result back to the host"),
        ("overlapped_step_s", _FLOAT, "s", "a step when copies and computation overlap (pinned, non-blocking)"),
        ("copy_share_ratio", _FLOAT, "1", "copies over copies plus computation, one after the other"),
        ("h2d_pageable_bytes_per_s", _FLOAT, "B/s", "host to device from pageable memory"),
        ("h2d_pinned_bytes_per_s", _FLOAT, "B/s", "host to device from pinned memory"),
        ("h2d_nonblocking_bytes_per_s", _FLOAT, "B/s", "host to device from pinned memory, not waiting for each copy"),
        ("d2h_pageable_bytes_per_s", _FLOAT, "B/s", "device to host into pageable memory"),
        ("d2h_pinned_bytes_per_s", _FLOAT, "B/s", "device to host into pinned memory"),
        ("unified_memory", _BOOL, "", "host and device share one memory"),
    ]),
    ("memory", [
        ("static_bytes", _INT, "B", "weights and buffers"),
        ("device_peak_allocated_bytes", _INT, "B", "most bytes in tensors on the device (MPS: most seen when sampled)"),
        ("device_peak_reserved_bytes", _INT, "B", "most bytes the allocator held (MPS: driver allocation, sampled)"),
        ("device_recommended_max_bytes", _INT, "B", "MPS: what the system recommends as the most"),
        ("allocation_retries_per_step", _FLOAT, "1/step", "times that the allocator, out of memory, gave back what it kept and asked again"),
        ("peak_rss_bytes", _INT, "B", "most resident memory of the worker during the cell"),
        ("page_fault_bytes_per_step", _FLOAT, "B/step", "memory that the step took anew from the kernel, by page faults"),
        ("system_time_ratio", _FLOAT, "1", "the kernel's share of the worker's processor time in the rounds"),
        ("leak_verdict", _STRING, "", "leak, none or undecided; null unless --leak-check"),
        ("leak_shapes", _STRING, "", "fixed or varying: in which repetition the larger slope was seen"),
        ("leak_device_bytes_per_step", _FLOAT, "B/step", "slope of device memory"),
        ("leak_device_low_bytes_per_step", _FLOAT, "B/step", "lower end of its 95 % interval"),
        ("leak_device_high_bytes_per_step", _FLOAT, "B/step", "upper end"),
        ("leak_host_bytes_per_step", _FLOAT, "B/step", "slope of host memory"),
        ("leak_host_low_bytes_per_step", _FLOAT, "B/step", "lower end of its 95 % interval"),
        ("leak_host_high_bytes_per_step", _FLOAT, "B/step", "upper end"),
    ]),
    ("energy", [
        ("energy_j", _FLOAT, "J", "energy of the measured window; null if unknown or under ten counter periods; a training whose rounds are too short for the counter has a window of steps after them"),
        ("energy_window_s", _FLOAT, "s", "length of that window"),
        ("energy_per_item_j", _FLOAT, "J/item", "joules per item"),
        ("items_per_j", _FLOAT, "items/J", "items per joule"),
        ("mean_power_w", _FLOAT, "W", "energy over window"),
        ("peak_power_w", _FLOAT, "W", "highest power sampled"),
        ("idle_power_w", _FLOAT, "W", "power of the idle device, measured before the sweep's cells"),
        ("energy_source", _STRING, "", "nvml, zeus-apple-silicon or powercap"),
        ("energy_domain", _STRING, "", "what the counter covers: gpu board, soc, cpu package"),
        ("energy_to_target_j", _FLOAT, "J", "finetune: energy until the target accuracy; where those rounds are too short, the energy of as many items"),
    ]),
    ("agreement", [
        ("reference", _STRING, "", "what the output was compared with, such as cpu fp32"),
        ("max_abs_diff", _FLOAT, "", "largest absolute difference"),
        ("max_rel_diff", _FLOAT, "1", "largest difference over the reference's largest magnitude"),
        ("max_softmax_diff", _FLOAT, "1", "largest difference of softmax probabilities"),
        ("top1_agreement_ratio", _FLOAT, "1", "share of items with the same best class"),
        ("n_nonfinite", _INT, "", "NaN or infinity where the reference has none"),
    ]),
    ("limits", [
        ("flops_per_step", _FLOAT, "FLOP", "by torch.utils.flop_counter; null where it knows none of the operations"),
        ("bytes_per_step", _FLOAT, "B", "bytes that the step's operations read and write, each counted once; compiled: input and output, else null"),
        ("achieved_flop_per_s", _FLOAT, "FLOP/s", "FLOPs per step over the median step"),
        ("achieved_bytes_per_s", _FLOAT, "B/s", "bytes per step over the median step"),
        ("ceiling_flop_per_s", _FLOAT, "FLOP/s", "a large matrix product on this device in this precision"),
        ("ceiling_bytes_per_s", _FLOAT, "B/s", "a large copy on this device, read plus written"),
        ("flop_share_ratio", _FLOAT, "1", "achieved over ceiling"),
        ("bandwidth_share_ratio", _FLOAT, "1", "achieved over ceiling"),
        ("intensity_flop_per_byte", _FLOAT, "FLOP/B", "arithmetic intensity"),
    ]),
    ("finetune", [
        ("accuracy_best", _FLOAT, "1", "best held-out accuracy of any round"),
        ("accuracy_final", _FLOAT, "1", "held-out accuracy after the last round"),
        ("loss_final", _FLOAT, "", "held-out cross entropy after the last round"),
        ("target_accuracy", _FLOAT, "1", "the accuracy asked for"),
        ("time_to_target_s", _FLOAT, "s", "training time, evaluation left out, until it was reached; null if never"),
        ("epochs_run", _FLOAT, "epochs", "training items seen over training items"),
    ]),
    ("search", [
        ("study_name", _STRING, "", "Optuna study of the cell's stratum"),
        ("study_trial", _INT, "", "the cell's trial number in it"),
        ("pruned_at_round", _INT, "rounds", "round after which the cell was stopped"),
        ("pruned_on", _STRING, "", "the figure it was pruned on"),
        ("pruned_against", _STRING, "", "the cell and figure it was compared with"),
        ("search_role", _STRING, "", "batch size auto: fastest, largest, fastest and largest, or probe"),
        ("constraints_held", _BOOL, "", "every limit asked for was held; null without limits"),
    ]),
    ("environment", [
        ("host", _STRING, "", "hash of the host name; the name itself only with --record-hostname"),
        ("device_name", _STRING, "", "the device as its driver names it"),
        ("device_total_bytes", _INT, "B", "memory of the device"),
        ("driver_version", _STRING, "", "driver and runtime"),
        ("torch_version", _STRING, "", ""), ("torchvision_version", _STRING, "", ""),
        ("ray_version", _STRING, "", ""), ("accelsweep_version", _STRING, "", ""),
        ("python_version", _STRING, "", ""), ("os", _STRING, "", "system, release and machine"),
        ("cpu_name", _STRING, "", ""),
        ("cpu_capability", _STRING, "", "vector instructions that PyTorch uses on the processor, such as AVX2 or AVX512"),
        ("n_cpus", _INT, "", "logical CPUs the worker may use"),
        ("n_threads", _INT, "", "torch.get_num_threads() while measuring"),
        ("host_total_bytes", _INT, "B", "memory of the machine"),
        ("allocator_settings", _STRING, "", "environment variables that change how memory is allocated; null if none is set"),
        ("git_commit", _STRING, "", "commit of the checkout that ran, with + if it was changed"),
        ("node_id", _STRING, "", "Ray's identifier of the node that measured"),
        ("worker_pid", _INT, "", "process that measured; equal where an actor was reused"),
        ("device_index", _STRING, "", "which of its node's accelerators measured, as Ray numbers them"),
        ("clock_offset_s", _FLOAT, "s", "the node's clock minus that of the machine that led the sweep, at its start"),
    ]),
]  # fmt: skip

_SAMPLE_COLUMNS: list[tuple[str, pa.DataType, str, str]] = [
    ("trial_key", _STRING, "", "the cell"),
    ("phase", _STRING, "", "warmup or measure"),
    ("round", pa.int32(), "", "round, from 0"),
    ("index", pa.int32(), "", "position in the round, from 0"),
    (
        "seconds",
        _FLOAT,
        "s",
        "one timed sample, timer overhead not subtracted; server: latency from scheduled arrival",
    ),
    ("scheduled_s", _FLOAT, "s", "server: scheduled arrival since the round began"),
]

_ROUND_COLUMNS: list[tuple[str, pa.DataType, str, str]] = [
    ("trial_key", _STRING, "", "the cell"),
    ("round", pa.int32(), "", "round, from 0"),
    ("elapsed_s", _FLOAT, "s", "measured time until the end of this round, evaluation left out"),
    ("seconds", _FLOAT, "s", "measured time of this round"),
    ("items", _INT, "items", "items worked through in this round"),
    ("throughput_items_per_s", _FLOAT, "items/s", "items over seconds"),
    ("accuracy", _FLOAT, "1", "finetune: held-out accuracy after the round"),
    ("loss", _FLOAT, "", "finetune: held-out cross entropy after the round"),
    ("energy_j", _FLOAT, "J", "energy of the round, null if unknown or too short"),
    ("rss_bytes", _INT, "B", "resident memory after the round"),
    ("device_bytes", _INT, "B", "device memory in tensors after the round"),
    ("visit", pa.int32(), "", "visit to the cell, from 0; null unless --rounds interleaved"),
]


def _schema(columns: list[tuple[str, pa.DataType, str, str]], group: dict[str, str] | None = None) -> pa.Schema:
    fields = []
    for name, kind, unit, meaning in columns:
        metadata = {"unit": unit, "meaning": meaning or name.replace("_", " ")}
        if group:
            metadata["group"] = group[name]
        fields.append(pa.field(name, kind, metadata=metadata))
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})


_GROUP_OF = {column[0]: group for group, columns in _TRIAL_GROUPS for column in columns}
TRIALS = _schema([column for _, columns in _TRIAL_GROUPS for column in columns], _GROUP_OF)
SAMPLES = _schema(_SAMPLE_COLUMNS)
ROUNDS = _schema(_ROUND_COLUMNS)
TABLES: dict[str, pa.Schema] = {"trials": TRIALS, "samples": SAMPLES, "rounds": ROUNDS}


def markdown_table(schema: pa.Schema) -> str:
    """The columns of a schema as a Markdown table, from the fields' own metadata."""
    lines = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for f in schema:
        meta = {k.decode(): v.decode() for k, v in (f.metadata or {}).items()}
        lines.append(f"| `{f.name}` | {f.type} | {meta['unit']} | {meta['meaning']} |")
    return "\n".join(lines) + "\n"
