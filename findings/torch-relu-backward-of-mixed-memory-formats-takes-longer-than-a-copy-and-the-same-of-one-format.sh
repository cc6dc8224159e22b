#!/usr/bin/env bash
# Library: torch 2.15.0 on the CPU.
# Likely guess: where the gradient is contiguous and the maps are in channels_last, as behind a layer that flattens maps,
#   the backward pass of a ReLU or leaky ReLU costs at most as much as a copy of the gradient to channels_last and the
#   backward pass in one format. Adding two tensors of different formats costs about that much, too.
# Behaviour: it takes 3 to 6 times as long as copying first, while an addition is no slower than the copy and the addition.
#   So one flatten before the last layer slows the rectifier in front of it down, and a network in channels_last is
#   faster with a copy there.
# Output seen (one thread, x86-64 with AVX-512; processor time without the copy over that with it):
#   leaky_relu_backward in bf16 5.9, threshold_backward in bf16 5.3, threshold_backward in float32 3.5, add in float32 1.1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import statistics
import time

import torch

torch.set_num_threads(1)
OPERATIONS = {
    "leaky_relu_backward in bf16": (torch.bfloat16, lambda g, y: torch.ops.aten.leaky_relu_backward(g, y, 0.2, True)),
    "threshold_backward in bf16": (torch.bfloat16, lambda g, y: torch.ops.aten.threshold_backward(g, y, 0)),
    "threshold_backward in float32": (torch.float32, lambda g, y: torch.ops.aten.threshold_backward(g, y, 0)),
    "add in float32": (torch.float32, torch.add),
}


def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began


ratios = {}
for name, (dtype, operation) in OPERATIONS.items():
    gradient = torch.randn(64, 128, 16, 16).to(dtype)
    maps = torch.randn(64, 128, 16, 16).to(dtype).contiguous(memory_format=torch.channels_last)
    mixed = lambda: operation(gradient, maps)
    copied = lambda: operation(gradient.contiguous(memory_format=torch.channels_last), maps)
    assert torch.equal(mixed(), copied())
    turns = [(seconds(mixed), seconds(copied)) for _ in range(30)][5:]
    ratios[name] = statistics.median(a for a, _ in turns) / statistics.median(b for _, b in turns)
print(", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()))
*rectifiers, addition = ratios.values()
assert min(rectifiers) > 2, "a rectifier's backward pass is no longer slow"
assert addition < 1.5, "an addition is slow, too"
PYTHON
