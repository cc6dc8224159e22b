#!/usr/bin/env bash
# Library: torch 2.15.0, random numbers on the CPU; numpy 2.4.6 beside it.
# Likely guess: two seeds within the documented range (64 bits) begin two sequences, as with NumPy, so that seeds made
#   from a hash, or a run's number times 2^32 plus a rank, are different seeds.
# Behaviour: only the lower 32 bits count. Numbers drawn from seeds 0 and 2^32 are the same, normal, uniform and
#   permutations alike, while `initial_seed` gives back what was set and the states compare as different.
# Output seen:
#   seeds 0 and 4294967296: torch draws the same: True, says the same seed: False, has equal states: False, numpy draws the same: False
#   seeds 7 and 21474836487: torch draws the same: True, says the same seed: False, has equal states: False, numpy draws the same: False
#   seeds 7 and 8: torch draws the same: False, says the same seed: False, has equal states: False, numpy draws the same: False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import numpy as np
import torch


def drawn(seed):
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(20, generator=generator), torch.rand(9, generator=generator), torch.randperm(30, generator=generator)
    return torch.cat([part.double() for part in parts])


for one, other in ((0, 2**32), (7, 5 * 2**32 + 7), (7, 8)):
    first, second = (torch.Generator().manual_seed(seed) for seed in (one, other))
    same = torch.equal(drawn(one), drawn(other))
    says = first.initial_seed() == second.initial_seed()
    states = torch.equal(first.get_state(), second.get_state())
    numpy = np.random.default_rng(one).random() == np.random.default_rng(other).random()
    print(
        f"seeds {one} and {other}: torch draws the same: {same}, says the same seed: {says}, has equal states: {states}, "
        f"numpy draws the same: {bool(numpy)}"
    )
PYTHON
cat seen.txt
sed -n 's/^#   \(seeds [0-9]* and .*\)/\1/p' "$script" | diff - seen.txt
