"""A third party's workload whose axis is the fault: what a step does to its own process, for real."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from workloads.base import Defaults, SetupFacts
from workloads.runtime.late import late

torch = late("torch")  # which drivers of sweeps do without

SLEEP_S = 7777
"""How long what is forked would live if nothing ended it."""


@dataclass(frozen=True, kw_only=True)
class FaultyOptions:
    fault: tuple[str, ...] = ("none",)
    cell: tuple[int, ...] = (0,)


def segfault() -> None:
    ctypes.string_at(0)


def hang_in_c() -> None:
    """Block every signal that can be blocked and sleep in C with the interpreter's lock held."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.PyDLL(None).sleep(SLEEP_S)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def wait() -> None:
    """Until somebody ends it."""
    time.sleep(SLEEP_S)


def fork() -> None:
    """A child in the worker's process group, one in a session of its own, and a grandchild that nobody waits for."""
    if os.fork() == 0:
        time.sleep(SLEEP_S)
        os._exit(0)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(SLEEP_S)
        os._exit(0)
    subprocess.Popen(["sleep", str(SLEEP_S)], start_new_session=True)


def fork_and_leave() -> None:
    """As if all were well."""
    fork()
    os._exit(0)


def eat() -> None:
    """Take memory until somebody says no: the kernel, Ray's monitor or the allocator."""
    held = []
    while True:
        held.append(bytearray(b"x") * 2**26)


def fill_device() -> None:
    """Take the accelerator's memory, GiB by GiB, until it has no more."""
    held = []
    while True:
        held.append(torch.empty(2**30, dtype=torch.uint8, device=torch.accelerator.current_accelerator()))


FAULTS = {
    "segfault": segfault, "hang": hang_in_c, "stop": stop, "wait": wait, "fork": fork, "fork-exit": fork_and_leave,
    "eat": eat, "device-memory": fill_device,
}  # fmt: skip


class Faulty:
    """Sleep a little each step, or multiply matrices on an accelerator; in the third step do what the axis says.

    ``wrong`` gives an answer that its reference denies.
    """

    name, item, Options = "faulty", "things", FaultyOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))
    steps_per_round = None

    def __init__(self, context):
        self.context, self.items_per_step, self.n_steps = context, context.batch_size, 0

    @classmethod
    def check(cls, options, models):
        pass

    def setup(self):
        torch.manual_seed(self.context.seed)
        self.matrix = torch.randn(2048, 2048, device=self.context.device)
        dear = sorted({"ray.tune", "pandas", "torchvision", "torch._dynamo"} & sys.modules.keys())
        return SetupFacts(input_shape="1", input_source=", ".join(dear) or "none")

    def step(self):
        self.n_steps += 1
        if self.context.device.type == "cpu":
            time.sleep(0.004)
        else:
            self.product = self.matrix @ self.matrix
        fault = self.context.options.fault[0]
        if self.n_steps == 3 and fault in FAULTS:
            FAULTS[fault]()

    def end_round(self, round_index):
        return {}

    def outputs_and_reference(self):
        reference = torch.ones(2, 2)
        return (-reference if self.context.options.fault[0] == "wrong" else reference), reference

    def is_done(self):
        return False

    def quality(self):
        return {}

    def teardown(self):
        self.matrix = self.product = None
