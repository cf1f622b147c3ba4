"""Sort the pixels of photographs by brightness."""

from workloads.base import Defaults, NoOptions, SetupFacts
from workloads.images import load_photographs, photograph_batch


class SortPixels:
    """Sort the pixels of photographs by brightness."""

    name, item, Options = "sort-pixels", "images", NoOptions
    defaults = Defaults(batch_size=(1, 8), precision=("fp32",))
    steps_per_round = None  # the harness decides by time

    def __init__(self, context):
        self.context, self.items_per_step = context, context.batch_size

    @classmethod
    def check(cls, options, models):
        pass  # nothing that could be wrong before a device is opened

    def setup(self):
        photographs = load_photographs()
        batch = photograph_batch(photographs, self.items_per_step, 224, self.context.seed)
        self.grey = batch.to(self.context.device).float().mean(1).flatten(1)
        return SetupFacts(input_shape="3x224x224", input_source=photographs.source)

    def step(self):
        self.grey.sort(dim=1)  # may return before the device is done; the harness waits

    def end_round(self, round_index):
        return {}

    def is_done(self):
        return False

    def quality(self):
        return {}

    def teardown(self):
        del self.grey
