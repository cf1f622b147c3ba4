"""Finetuning: a pre-trained model learns real images, measured in images per second and in seconds to an accuracy."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from workloads.base import CellContext, Defaults, SetupFacts, UnsupportedError
from workloads.finetune_options import FinetuneOptions
from workloads.images.classes import check_image_folder
from workloads.models.checks.asked import check_models
from workloads.models.sources import DEFAULT_MODEL
from workloads.precision import PRECISIONS, autocast, check_trains, held_dtype
from workloads.runtime.group import TRAINED_TOGETHER
from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workloads.images import augment as augmenting
    from workloads.images import batches, feeds, labelled, orders, scores
    from workloads.models import heads
    from workloads.models import loading as models
    from workloads.models.calls import answers
    from workloads.models.calls import inputs as calls
    from workloads.models.training import batch_norm, first_steps, optimizer, parallel
else:
    torch, nn = late("torch"), late("torch.nn")
    augmenting, batches = late("workloads.images.augment"), late("workloads.images.batches")
    feeds, labelled = late("workloads.images.feeds"), late("workloads.images.labelled")
    scores, orders = late("workloads.images.scores"), late("workloads.images.orders")
    batch_norm, models = late("workloads.models.training.batch_norm"), late("workloads.models.loading")
    optimizer, heads = late("workloads.models.training.optimizer"), late("workloads.models.heads")
    first_steps, parallel = late("workloads.models.training.first_steps"), late("workloads.models.training.parallel")
    answers, calls = late("workloads.models.calls.answers"), late("workloads.models.calls.inputs")

BATCH_NORM_MOMENTUM = 0.1
"""EfficientNet's own 0.01 lets the running statistics lag behind in so short a training, by 20 points of accuracy."""
ROUNDS_PER_EPOCH = 3
N_DIGITS = 10


class Finetune:
    """Finetune a pre-trained model on real images: training speed and held-out accuracy."""

    name: ClassVar[str] = "finetune"
    item: ClassVar[str] = "images"
    Options: ClassVar[type[Any]] = FinetuneOptions
    defaults: ClassVar[Defaults] = Defaults(
        batch_size=(32, 64),
        precision=("fp32", "bf16"),
        model=(DEFAULT_MODEL,),
        smoke_batch_size=(32,),
        smoke_options={"epochs": 1.0, "max_train_s": 12.0},
        pruner="median",
        prune_on="accuracy",
    )
    why_one_device: ClassVar[Callable[[Any], str | None]] = staticmethod(lambda _: None)

    def __init__(self, context: CellContext) -> None:
        self._context = context
        self._options: FinetuneOptions = context.options or FinetuneOptions()
        self._group = context.group
        self.items_per_step = context.batch_size * self._group.size
        self.together = TRAINED_TOGETHER[self._options.parallel[0]]
        self.steps_per_round: int | None = None
        self.is_compiled = context.compile != "none"
        self.target_accuracy = self._options.target_accuracy
        self._feed: feeds.Ahead | None = None
        self._whole: nn.Module | None = None
        self._score: scores.Score | None = None
        self._n_steps, self._train_s = 0, 0.0
        self._round_began: float | None = None

    @classmethod
    def check(cls, options: FinetuneOptions, model_names: tuple[str, ...]) -> None:
        n_classes = N_DIGITS if options.data is None else len(check_image_folder(options.data))
        check_models(model_names, options.weights, image_size=options.image_size, n_classes=n_classes)

    def setup(self) -> SetupFacts:
        context, options = self._context, self._options
        check_trains(context.precision)
        data = self._load_data()
        if self.items_per_step > (n := len(data.train_labels)):
            raise UnsupportedError(
                f"needs --batch-size {n // self._group.size} or less: there are {n} images to train on"
            )
        n_values = 3 * options.image_size**2
        resident_bytes = n_values * n if options.feed == ("resident",) else 0
        step_bytes = n_values * context.batch_size * torch.float32.itemsize
        context.check_fits("a step's batch", on_device=resident_bytes + step_bytes)
        loaded = models.build_model(context.model, num_classes=len(data.classes), weights_file=options.weights)
        self._mean, self._std = loaded.mean, loaded.std
        self._data, self._n_classes = data, len(data.classes)
        if options.feed == ("resident",):
            self._train, self._train_labels = data.train.to(context.device), data.train_labels.to(context.device)
        self._heldout, self._heldout_labels = data.heldout.to(context.device), data.heldout_labels.to(context.device)
        steps_per_epoch = len(data.train_labels) // self.items_per_step
        self.steps_per_round = max(1, round(steps_per_epoch / ROUNDS_PER_EPOCH))
        self._total_steps = max(self.steps_per_round, round(steps_per_epoch * options.epochs))
        self._prepare(loaded.module)
        if context.batch_size == 1 and not self._is_head_only:
            image = batches.to_model_input(self._heldout[:1], self._mean, self._std)
            batch_norm.check_batch_norm(self._module, batches.laid_out(image, context.memory_format))
        self._initial = {name: tensor.detach().clone() for name, tensor in self._module.state_dict().items()}
        self.restart()
        return SetupFacts(
            input_shape=f"3x{options.image_size}x{options.image_size}",
            input_source=data.source,
            weights=loaded.weights,
            head=loaded.head,
            n_images_skipped=data.n_skipped,
            input_left_out=data.left_out,
            static_bytes=models.static_bytes(self._module),
            n_train_items=len(data.train_labels),
            n_heldout_items=len(data.heldout_labels),
            code_commit=loaded.commit,
        )

    def _prepare(self, module: nn.Module) -> None:
        """Bring the network to the device, ready to train the whole of it or its head."""
        context = self._context
        batch_norm.set_momentum(module, BATCH_NORM_MOMENTUM)
        self._module = calls.cast(module.to(context.device), held_dtype(context.precision))
        calls.lay_out(self._module, context.memory_format)
        self._is_head_only = self._options.tune == ("head",)
        self._module.requires_grad_(not self._is_head_only)
        for head in heads.head_layers(self._module).values():
            head.requires_grad_()
        trained, self._whole = parallel.spread(self._module, self._group, context.device, self._options.parallel[0])
        self._trained = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        self._forward = models.compiled_to_train(trained, context.compile)

    def _load_data(self) -> labelled.LabelledImages:
        size, seed = self._options.image_size, self._context.seed
        if self._options.data is None:
            n_bytes, is_resident = 3 * size**2 * labelled.N_DIGITS_IMAGES, self._options.feed == ("resident",)
            self._context.check_fits("all images", on_host=n_bytes, on_device=n_bytes if is_resident else 0)
            return labelled.load_digits(size, seed, is_encoded=self._options.feed == ("streamed",))
        return labelled.load_image_folder(self._options.data, size, seed)

    def restart(self) -> None:
        """Go back to the weights that training starts from, so that warm-up teaches nothing."""
        calls.put_in(self._module, self._initial, is_whole=True)
        rate = self._options.learning_rate[0]
        self._optimizer = optimizer.adamw(self._trained, rate)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=rate, total_steps=self._total_steps + 1, pct_start=0.3
        )
        # Disabled it passes everything through.
        self._scaler = torch.amp.GradScaler(
            self._context.device.type, enabled=PRECISIONS[self._context.precision].scales_gradients
        )
        self._order = orders.Order(len(self._data.train_labels), self.items_per_step, self._context.seed, self._group)
        self._crops = torch.Generator().manual_seed(self._context.seed + self._group.rank)
        self._open_feed()
        self._n_steps, self._train_s, self._round_began = 0, 0.0, None
        self._train_mode()

    def _train_mode(self) -> None:
        # With the head only, the frozen part keeps its statistics: it is a fixed feature extractor.
        self._module.train(not self._is_head_only)

    def _open_feed(self) -> None:
        """Start the batches from the first of the seed's order."""
        if self._feed is not None:
            self._feed.close()
        if self._options.feed == ("resident",):
            source = feeds.resident(self._train, self._train_labels, self._order.next)
        else:
            source = feeds.streamed(
                self._data.train_encoded, self._data.train_labels, self._options.image_size, self._order.next,
                batch_size=self._context.batch_size, n_processes=max(1, torch.get_num_threads() - 1),
            )  # fmt: skip
        finish = functools.partial(self._inputs, augment=self._options.augment[0])
        self._feed = feeds.Ahead(source, finish, self._context.device)

    def _inputs(self, images: torch.Tensor, augment: augmenting.Augmentation = "none") -> torch.Tensor:
        inputs = augmenting.augmented(batches.to_model_input(images, self._mean, self._std), augment, self._crops)
        return batches.laid_out(inputs.to(held_dtype(self._context.precision)), self._context.memory_format)

    def step(self) -> None:
        if self._round_began is None:
            self._round_began = time.monotonic()
        self._learn(self._forward)

    def plain_step(self) -> None:
        self._learn(self._module)

    def least_bytes(self) -> int | None:
        """Unknown: which of the activations a compiled network keeps out of memory is the compiler's secret."""
        return None

    def _learn(self, forward: Callable[..., Any]) -> None:
        assert self._feed is not None
        inputs, labels = self._feed.next()
        with autocast(self._context.device, self._context.precision):
            logits = answers.class_scores(forward(inputs), self._n_classes)
            loss = nn.functional.cross_entropy(logits.float(), labels)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._n_steps < self._total_steps:
            self._schedule.step()
        self._n_steps += 1
        self._feed.prepare()

    def end_round(self, round_index: int) -> Mapping[str, float]:
        """Held-out accuracy (0 to 1), balanced and not, mean cross entropy, and how many classes were answered."""
        if self._round_began is not None:
            self._train_s += time.monotonic() - self._round_began
            self._round_began = None
        self._module.eval()
        self._score, loss = scores.held_out(self._scores_of, self._heldout, self._heldout_labels, self._n_classes)
        self._train_mode()
        return {**self._score.columns, "loss": loss}

    def _scores_of(self, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), autocast(self._context.device, self._context.precision):
            scored = self._module(self._inputs(images))
            return answers.class_scores(scored, self._n_classes).float()

    def is_done(self) -> bool:
        # A round is a third of an epoch, which can be far longer than the time allowed: the round that runs counts too.
        running = 0.0 if self._round_began is None else time.monotonic() - self._round_began
        return self._n_steps >= self._total_steps or self._train_s + running >= self._options.max_train_s

    def first_steps(self) -> first_steps.FirstSteps:
        """The first steps on a few images from the initial weights, to which the training goes back, and the CPU's."""
        self.restart()
        training = first_steps.Training(
            module=self._module, forward=self._forward, trained=self._trained, context=self._context,
            rate=self._optimizer.param_groups[0]["lr"], whole=self._whole,
            n_classes=self._n_classes,
        )  # fmt: skip
        few = slice(first_steps.N_ITEMS * self._group.size)
        inputs = batches.to_model_input(self._heldout[few].cpu(), self._mean, self._std)
        found = first_steps.compared(training, inputs, self._heldout_labels[few].cpu())
        self.restart()
        return found

    def quality(self) -> Mapping[str, object]:
        return {"learned": None if self._score is None else self._score.learned}

    def teardown(self) -> None:
        if self._feed is not None:
            self._feed.close()
        vars(self).clear()
