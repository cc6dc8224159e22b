#!/usr/bin/env bash
# Library: torch 2.15.0, autocast on the CPU.
# Likely guess: torch.conv2d and torch.conv_transpose2d are names for cases of torch.convolution, which takes the same
#   tensors and whether it is transposed; under autocast to bf16 all three compute in bf16.
# Behaviour: autocast lists operations by name. The special names are on its list and the general one is not, so a layer
#   that calls torch.convolution, to serve both kinds with one line, silently computes in float32.
# Output seen:
#   conv2d bfloat16, conv_transpose2d bfloat16, convolution float32, convolution transposed float32
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch

x, weight = torch.randn(1, 2, 5, 5), torch.randn(2, 2, 3, 3)


def general(transposed):
    return torch.convolution(x, weight, None, [1, 1], [0, 0], [1, 1], transposed, [0, 0], 1)


with torch.autocast("cpu", torch.bfloat16):
    results = {
        "conv2d": torch.conv2d(x, weight),
        "conv_transpose2d": torch.conv_transpose2d(x, weight),
        "convolution": general(False),
        "convolution transposed": general(True),
    }
print(", ".join(f"{name} {str(y.dtype).removeprefix('torch.')}" for name, y in results.items()))
assert [y.dtype for y in results.values()] == [torch.bfloat16] * 2 + [torch.float32] * 2
assert general(False).allclose(torch.conv2d(x, weight)), "the same computation"
assert general(True).allclose(torch.conv_transpose2d(x, weight)), "the same computation"
PYTHON
