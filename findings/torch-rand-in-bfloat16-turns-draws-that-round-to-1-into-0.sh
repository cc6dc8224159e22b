#!/usr/bin/env bash
# Library: torch 2.15.0, random numbers on the CPU.
# Likely guess: `rand` in a type of few bits is a uniform number rounded to it, down where it would reach 1. The smallest
#   numbers stay rare: those of bfloat16 are as fine as those of float32 near 0.
# Behaviour: a draw that rounds to 1 becomes 0. So one number in 512 is exactly 0 in bfloat16, one in 4,096 in float16, and
#   the mean is as much too low; the logarithm of such a number (exponential, Gumbel and normal noise made of uniform
#   numbers) is infinite. In float32 there are none among as many draws.
# Output seen:
#   bfloat16: 1 in 512 is exactly 0: True, others below 1/1000 are there: True, mean 0.498, any 1: False
#   float16: 1 in 4096 is exactly 0: True, others below 1/1000 are there: True, mean 0.500, any 1: False
#   float32: exactly 0: 0 of 20000000, mean 0.500, any 1: False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch

DRAWS = 20_000_000
for kind, share in ((torch.bfloat16, 512), (torch.float16, 4096), (torch.float32, 0)):
    drawn = torch.rand(DRAWS, dtype=kind, generator=torch.Generator().manual_seed(0))
    zeros, ones, mean = int((drawn == 0).sum()), bool((drawn == 1).any()), drawn.double().mean().item()
    small = bool(((drawn > 0) & (drawn < 1e-3)).any())
    name = str(kind).removeprefix("torch.")
    if share:
        expected = DRAWS / share
        near = abs(zeros - expected) < 5 * expected**0.5
        print(
            f"{name}: 1 in {share} is exactly 0: {near}, others below 1/1000 are there: {small}, mean {mean:.3f}, "
            f"any 1: {ones}"
        )
    else:
        print(f"{name}: exactly 0: {zeros} of {DRAWS}, mean {mean:.3f}, any 1: {ones}")
PYTHON
cat seen.txt
sed -n 's/^#   \(b\{0,1\}float[0-9]*: .*\)/\1/p' "$script" | diff - seen.txt
