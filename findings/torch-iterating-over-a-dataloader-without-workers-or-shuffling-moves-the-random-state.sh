#!/usr/bin/env bash
# Library: torch 2.15.0.
# Likely guess: a DataLoader without shuffling and without workers draws no random number, so measuring on held-out images in
#   the middle of a run leaves the noise and the latents that follow as they are.
# Behaviour: each `iter` of the loader draws a number from the global generator, also with a SequentialSampler. A run that
#   measures more often, or resumes at another place between measurements, has other random numbers from there on. With a
#   generator of its own, the loader draws from that one.
# Output seen:
#   global generator after one pass of a loader: as before: False, as after drawing one int64: True
#   after only asking for the iterator: as before: False
#   with generator=torch.Generator(): as before: True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torch.utils.data import DataLoader, SequentialSampler


def after(action):
    torch.manual_seed(0)
    action()
    return torch.get_rng_state()


def drawn():
    torch.empty((), dtype=torch.int64).random_()


data = list(range(8))
plain = DataLoader(data, batch_size=4, sampler=SequentialSampler(data), num_workers=0)
own = DataLoader(data, batch_size=4, num_workers=0, generator=torch.Generator())
before = after(lambda: None)
passed = after(lambda: list(plain))
print(
    f"global generator after one pass of a loader: as before: {torch.equal(passed, before)}, "
    f"as after drawing one int64: {torch.equal(passed, after(drawn))}"
)
print(f"after only asking for the iterator: as before: {torch.equal(after(lambda: iter(plain)), before)}")
print(f"with generator=torch.Generator(): as before: {torch.equal(after(lambda: list(own)), before)}")
PYTHON
cat seen.txt
sed -n 's/^#   \(.*as before: .*\)/\1/p' "$script" | diff - seen.txt
