#!/usr/bin/env bash
# Library: torch 2.15.0, torch.autocast with bf16, as in Lightning's precision="bf16-mixed".
# Likely guess: autocast protects the same operations on every device: what is delicate (logarithms, powers, sums, losses
#   as softplus) is computed in float32, so a loss of logits that come in bf16 has float32's resolution.
# Behaviour: that is so on CUDA. On a CPU softplus, exp, log, powers, sums, normalisations of layers and groups have no rule:
#   they stay in bf16, with three digits, so the same training computes its loss otherwise. A binary cross entropy with
#   logits, which is the same number as a softplus, is protected on both.
# Output seen:
#   rule on CUDA: softplus True, exp True, log True, pow True, sum True, layer_norm True, group_norm True
#   rule on a CPU: softplus False, exp False, log False, pow False, sum False, layer_norm False, group_norm False
#   binary cross entropy with logits: CUDA True, CPU True
#   on a CPU: softplus gives torch.bfloat16, the cross entropy of the same torch.float32
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus


def ruled(operation, device):
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{operation}", f"Autocast{device}")


operations = ["softplus", "exp", "log", "pow.Tensor_Scalar", "sum", "layer_norm", "group_norm"]
for device, name in (("CUDA", "CUDA"), ("CPU", "a CPU")):
    print(f"rule on {name}: " + ", ".join(f"{o.split('.')[0]} {ruled(o, device)}" for o in operations))
both = ", ".join(f"{d} {ruled('binary_cross_entropy_with_logits', d)}" for d in ("CUDA", "CPU"))
print(f"binary cross entropy with logits: {both}")
logits = torch.randn(4_096).bfloat16()
with torch.autocast("cpu", torch.bfloat16):
    plain, crossed = softplus(-logits), binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
print(f"on a CPU: softplus gives {plain.dtype}, the cross entropy of the same {crossed.dtype}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
