"""A third party's workload that several processes do together; ``does`` says what goes wrong in the second of them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import torch

from workloads.base import Defaults, SetupFacts


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    does: tuple[str, ...] = ("fine",)


def fail():
    raise ValueError("no such luck")


DEEDS = {"stop": lambda: os.kill(os.getpid(), signal.SIGSTOP), "fail": fail}


class Pair:
    """Sleep a millisecond a step, and exchange a number with the other processes."""

    name, item, Options = "pair", "things", PairOptions
    defaults = Defaults(batch_size=(3,), precision=("fp32",))
    together = ("step",)
    why_one_device = staticmethod(lambda _: None)

    def __init__(self, context):
        self.does, self.group, self.device = context.options.does[0], context.group, context.device
        self.items_per_step, self.steps_per_round, self.n_steps = 3 * self.group.size, 20, 0

    @classmethod
    def check(cls, options, models): ...

    def setup(self):
        if not self.group.is_alone:
            self.group.join(self.device)
        return SetupFacts(input_shape="1", input_source="nowhere")

    def step(self):
        self.n_steps += 1
        if self.n_steps == 30 and self.group.rank and self.does in DEEDS:
            DEEDS[self.does]()
        time.sleep(0.001)
        mean = self.group.mean(torch.tensor(float(self.group.rank)))
        assert float(mean) == (self.group.size - 1) / 2

    def end_round(self, index):
        return {}

    def is_done(self):
        return self.n_steps >= 100

    def quality(self):
        return {}

    def teardown(self): ...
