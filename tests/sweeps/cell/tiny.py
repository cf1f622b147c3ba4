"""A third party's workload of a millisecond a step, whose option says how a cell of it goes wrong, and where."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from workloads.base import Defaults, SetupFacts, UnsupportedError

called: list[str] = []
"""What was called of the last cell, but for its steps."""


@dataclass(frozen=True, kw_only=True)
class TinyOptions:
    does: tuple[str, ...] = ("fine",)


def lack() -> None:
    raise UnsupportedError("tiny lacks what it was asked for")


def miss_a_kernel() -> None:
    torch.linalg.svd(torch.ones(3, 3, dtype=torch.half))


def fill_memory() -> None:
    torch.empty(2**48)


def fail() -> None:
    {}["no such thing"]


def interrupt() -> None:
    raise KeyboardInterrupt


DEEDS = {"lack": lack, "miss a kernel": miss_a_kernel, "fill memory": fill_memory, "fail": fail, "interrupt": interrupt}


class Tiny:
    """Sleep a millisecond a step; ``does`` is a deed and the member in which it is done, such as ``fail in step``.

    ``train`` ends after two rounds of three steps; ``wrong`` gives an answer that its reference denies.
    """

    name, item, Options = "tiny", "things", TinyOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))

    def __init__(self, context):
        self.does = context.options.does[0]
        self.items_per_step, self.n_steps, self.n_rounds = context.batch_size, 0, 0
        self.steps_per_round = 3 if self.does == "train" else None
        called.clear()

    def _note(self, member):
        called.append(member)
        self._may(member)

    def _may(self, member):
        deed, _, where = self.does.partition(" in ")
        if where == member:
            DEEDS[deed]()

    @classmethod
    def check(cls, options, models): ...

    def setup(self):
        self._note("setup")
        return SetupFacts(input_shape="1x2x3", input_source="nowhere", weights="random", static_bytes=24)

    def restart(self):
        self._note("restart")
        self.n_steps = 0

    def step(self):
        self._may("step")
        self.n_steps += 1
        time.sleep(0.001)

    def end_round(self, index):
        self._note("end_round")
        self.n_rounds += 1
        if index == 1:
            self._may("second round")
        return {"accuracy": 0.5 + 0.25 * index}

    def is_done(self):
        return self.steps_per_round is not None and self.n_steps >= 2 * self.steps_per_round

    def quality(self):
        self._note("quality")
        return {"n_heldout_items": 5}

    def outputs_and_reference(self):
        reference = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
        return (-reference if self.does == "wrong" else reference), reference

    def teardown(self):
        self._note("teardown")
