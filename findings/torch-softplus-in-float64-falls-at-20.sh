#!/usr/bin/env bash
# Library: torch 2.15.0, torch.nn.functional.softplus, the loss of most GANs, in float64.
# Likely guess: softplus is exact to the last digits of its dtype, and rises everywhere. Whoever wants to check a loss or a
#   gradient to many digits takes float64.
# Behaviour: above 20 it returns its argument, in every dtype. That is right in float32; in float64 it is 2e-9 too small
#   there, and the function falls at 20: of two numbers the larger has the smaller softplus. torch.logaddexp(x, 0) is
#   exact. softplus(-x) and softplus(x) - x, which are the same number, differ by all of it.
# Output seen:
#   softplus(20 + 1e-9) less softplus(20): -1.1e-09, by logaddexp 1.0e-09
#   at 21: softplus(x) - x 0.0e+00, softplus(-x) 7.6e-10
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torch.nn.functional import softplus

x = torch.tensor([20, 20 + 1e-9], dtype=torch.float64)
exact = torch.logaddexp(x, torch.zeros_like(x))
print(f"softplus(20 + 1e-9) less softplus(20): {softplus(x).diff().item():.1e}, by logaddexp {exact.diff().item():.1e}")
x = torch.tensor(21, dtype=torch.float64)
print(f"at 21: softplus(x) - x {softplus(x) - x:.1e}, softplus(-x) {softplus(-x):.1e}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
