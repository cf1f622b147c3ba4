"""Why a peer's figure differs from a synchronised loop's, with the place in its code or documentation that shows it."""

NOTES = """\
Read in the versions above; what a note says of this machine, the tables show.

- **torch.utils.benchmark** waits for any accelerator (`torch/utils/benchmark/utils/timer.py`, `timer()`) and reports the
  mean of a block. Its `num_threads` is 1 unless given (`Timer.__init__`), so that on a CPU its figure is that of one core.
- **timm** waits for the device only if its name holds one word: `BenchmarkRunner.__init__` of pytorch-image-models'
  `benchmark.py` takes `cuda_timestamp` if `'cuda' in self.device`, else a clock that waits for nothing. On the CPU there
  is nothing to wait for. The script also sets `torch.backends.cudnn.benchmark = True`, which lets cuDNN pick faster
  algorithms: its loop agrees with the reference in its own process and may be faster than other tools' processes. It
  switches gradients off with `torch.no_grad()`, where the reference has `torch.inference_mode()`, which keeps less account
  of each tensor: where launching bounds a step, at batch 1 on a GPU, that is the difference, as the row against the loop
  under `no_grad` shows.
- **pytorch-benchmark** (LukasHedegaard), `pytorch_benchmark/benchmark.py`: on CUDA line 159 asks
  `stop_event.elapsed_time(start_event)`, the two events in the wrong order, and takes the milliseconds for seconds, so
  that `on_device_inference` is negative and a thousand times too large; its `total` holds both copies. Its throughput is
  the mean of 1/time (line 187), never below the items over the mean time. It measures batch 1 for every call as well
  (line 358), on contiguous random numbers (line 310), whatever the sample's format.
- **optimum-benchmark**, `trackers/latency.py`: events on CUDA, `time.perf_counter` without waiting on every other device.
  `backends/pytorch/backend.py` line 70 calls `torch.set_autocast_enabled(True)`, which without a device's name means
  CUDA's autocast: on the CPU `autocast_enabled` changes nothing, and a bf16 cell is an fp32 one. On CUDA the same line
  leaves autocast on for good instead of entering it for each step, so that the weights are rounded once and kept, where a
  loop that enters autocast rounds them in each step. `memory_format` is no option. The inline launcher, taken here, warns
  that it is "only recommended for debugging purposes and not for benchmarking" (`launchers/inline/launcher.py`, line 15);
  the process launcher starts an interpreter for each cell. In fp32 it leaves cuDNN's TF32 on, PyTorch's default; its
  adapter switches that off as for all.
"""
