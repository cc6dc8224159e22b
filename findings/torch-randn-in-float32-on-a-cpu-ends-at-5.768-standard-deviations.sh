#!/usr/bin/env bash
# Library: torch 2.15.0, random numbers on the CPU; numpy 2.4.6 beside it.
# Likely guess: float32 has room for any deviation, so among a billion normal numbers the largest lies beyond six standard
#   deviations, as with NumPy in the same type.
# Behaviour: no number lies beyond sqrt(48 log 2) = 5.768: they are made of uniform numbers of 24 bits. Eight in a billion
#   should lie beyond. Tests of tails, extreme values, and latents at the rim see a truncated distribution; in float64 it
#   reaches farther.
# Output seen:
#   torch float32: largest 5.768, beyond it 0 of 1,500,000,000, the square root of 48 log 2: 5.768
#   numpy float32: some of 1,500,000,000 beyond it: True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import math

import numpy as np
import torch

PARTS, SIZE = 60, 25_000_000
END = math.sqrt(48 * math.log(2))
generator, largest, beyond = torch.Generator().manual_seed(0), 0.0, 0
for _ in range(PARTS):
    drawn = torch.randn(SIZE, generator=generator).abs_()
    largest, beyond = max(largest, drawn.max().item()), beyond + int((drawn > END).sum())
print(
    f"torch float32: largest {largest:.3f}, beyond it {beyond} of {PARTS * SIZE:,}, "
    f"the square root of 48 log 2: {END:.3f}"
)
random = np.random.default_rng(0)
seen = any(bool((np.abs(random.standard_normal(SIZE, dtype=np.float32)) > END).any()) for _ in range(PARTS))
print(f"numpy float32: some of {PARTS * SIZE:,} beyond it: {seen}")
PYTHON
cat seen.txt
sed -n 's/^#   \(torch float32: .*\|numpy float32: .*\)/\1/p' "$script" | diff - seen.txt
