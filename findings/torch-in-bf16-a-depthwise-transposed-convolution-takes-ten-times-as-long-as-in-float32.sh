#!/usr/bin/env bash
# Library: torch 2.15.0 on an x86 processor with bf16 instructions (avx512_bf16 in the flags of /proc/cpuinfo; seen with
#   AMX too). Without them there is nothing to see, and the script ends.
# Likely guess: where the processor has bf16, a convolution in bf16 takes at most as long as in float32: it reads half
#   the bytes, and the plain convolutions of the same size take a fraction. And the backward pass of a depthwise
#   convolution is about as slow or fast as its forward pass.
# Behaviour: a depthwise transposed convolution with stride 2 takes tens of times as long in bf16 as in float32, and so
#   does the gradient by the maps of a depthwise convolution with stride 2, whose forward pass is fast: the second is
#   the first. Casting to float32 and back is many times as fast. (32 maps of 16 channels, 16x16 to 32x32 pixels.)
# Output seen (the ratios of times in this order: 51, 0.4, 0.8, 40 and 1.7):
#   transposed, depthwise: bf16 takes over 10 times as long
#   transposed, dense: bf16 takes at most twice as long
#   forward, depthwise: bf16 takes at most twice as long
#   gradient by maps, depthwise: bf16 takes over 10 times as long
#   transposed, depthwise, cast to float32 and back: bf16 takes under 10 times as long
set -euo pipefail
grep -q avx512_bf16 /proc/cpuinfo || { echo "this processor has no bf16 instructions"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import sys
import time

import torch
from torch.nn.functional import conv2d, conv_transpose2d

torch.set_num_threads(1)
CHANNELS = 16
GROUPS = {"depthwise": CHANNELS, "dense": 1}


def fastest(function, turns=15):
    times = []
    for _ in range(turns):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times[2:])


def maps(size, dtype):
    x = torch.randn(32, CHANNELS, size, size, dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last)


def transposed(dtype, kind, cast=False):
    x, weight = maps(16, dtype), torch.randn(CHANNELS, CHANNELS // GROUPS[kind], 4, 4, dtype=dtype)
    inner = torch.float32 if cast else dtype
    return fastest(
        lambda: conv_transpose2d(x.to(inner), weight.to(inner), stride=2, padding=1, groups=GROUPS[kind]).to(dtype)
    )


def forward(dtype):
    x, weight = maps(32, dtype), torch.randn(CHANNELS, 1, 4, 4, dtype=dtype)
    return fastest(lambda: conv2d(x, weight, stride=2, padding=1, groups=CHANNELS))


def gradient(dtype):
    x, weight = maps(32, dtype).requires_grad_(), torch.randn(CHANNELS, 1, 4, 4, dtype=dtype)
    y = conv2d(x, weight, stride=2, padding=1, groups=CHANNELS)
    towards = torch.ones_like(y)
    return fastest(lambda: torch.autograd.grad(y, x, towards, retain_graph=True))


def ratio(function, *given):
    found = function(torch.bfloat16, *given) / function(torch.float32, *given[:1])
    print(function.__name__, given, round(found, 1), file=sys.stderr)
    return found


def told(name, found, bounds):
    for bound, text in bounds:
        if found > bound:
            print(f"{name}: bf16 takes {text}")
            return


SLOW = ((10, "over 10 times as long"), (2, "2 to 10 times as long"), (0, "at most twice as long"))
told("transposed, depthwise", ratio(transposed, "depthwise"), SLOW)
told("transposed, dense", ratio(transposed, "dense"), SLOW)
told("forward, depthwise", ratio(forward), SLOW)
told("gradient by maps, depthwise", ratio(gradient), SLOW)
CAST = ((10, "over 10 times as long"), (0, "under 10 times as long"))
told("transposed, depthwise, cast to float32 and back", ratio(transposed, "depthwise", True), CAST)
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
transposed, depthwise: bf16 takes over 10 times as long
transposed, dense: bf16 takes at most twice as long
forward, depthwise: bf16 takes at most twice as long
gradient by maps, depthwise: bf16 takes over 10 times as long
transposed, depthwise, cast to float32 and back: bf16 takes under 10 times as long
SEEN
