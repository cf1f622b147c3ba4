"""Torch's compiler is imported where something is compiled, and what is done without it is the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent


def told(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


COUNTED = """
import sys
from workloads.runtime import lean_torchvision
import torch, torchvision
from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import count_step
from workloads.runtime.without_compiler import AdamW, flop_counter

network = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
batch = torch.ones(3, 8)
images = torch.ones(1, 3, 8, 8)
resized = lambda: torch.nn.functional.interpolate(images, (4, 4), mode="bilinear", antialias=True)

def count():
    with ProductTypes() as products:
        counted = count_step(lambda: network(batch))
    with torch.inference_mode():  # where a resize is counted by its parts
        assert count_step(resized)[1] == 4 * 3 * (64 + 16), "read and written"
    return counted, products.types

def trained(kind):
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 4)
    optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.01, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        layer(batch).square().sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    return [p.tolist() for p in layer.parameters()]

lean, learnt = count(), trained(AdamW)
assert not {name for name in sys.modules if name.startswith(("torch._dynamo", "sympy"))}, "what watches or trains compiles nothing"
import torch._dynamo
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
assert torch._dynamo.utils.is_compile_supported("cpu") is asked("cpu")
assert count() == lean
assert trained(AdamW) == learnt == trained(torch.optim.AdamW)
compiled = torch.compile(network, backend="eager")
assert torch.equal(compiled(batch), network(batch))
with flop_counter() as flops:
    compiled(batch)
print(lean, count() == lean, flops.get_total_flops())
"""


def test_counts_and_what_is_learnt_are_the_same_before_and_after_the_compiler_is_there() -> None:
    flops = 2 * 3 * (8 * 4 + 4 * 2)
    counted, _, rest = told(COUNTED).partition("), ")
    assert counted.startswith(f"(({flops}.0, ")
    assert rest == f"['float32']) True {flops}\n"


def test_torchvision_is_imported_by_what_imports_no_compiler() -> None:
    files = [path for package in ("sweeps", "workloads") for path in (ROOT / package).rglob("*.py")]
    assert [f.name for f in files if re.search(r"^\s*import torchvision", f.read_text(), re.MULTILINE)] == []


def test_a_torch_that_takes_more_of_the_compiler_or_lets_nothing_be_watched_is_done_with() -> None:
    code = """
import sys, torch, torch.utils._python_dispatch as dispatch
real = dispatch.TorchDispatchMode
del dispatch.TorchDispatchMode
from workloads.runtime import without_compiler
class Counter(without_compiler.TorchDispatchMode):
    pass
try:
    with Counter():
        print("ran")
except NotImplementedError as error:
    print(str(error).partition(" does")[2])
dispatch.TorchDispatchMode = real

class Another:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision.models" and getattr(sys.modules.get("torch._dynamo"), "__spec__", 0) is None:
            raise ImportError("a release that takes more")

sys.meta_path.insert(0, Another())
without_compiler.import_torchvision()
import torchvision
print(torchvision.models.resnet18.__name__, sys.modules["torch._dynamo"].__spec__ is not None)
"""
    # A step is run and its bytes are unknown; torchvision is imported with the compiler.
    assert told(code) == " not let its operations be watched\nresnet18 True\n"
