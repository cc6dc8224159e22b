#!/usr/bin/env bash
# Library: torch 2.15.0, normal numbers on the CPU.
# Likely guess: a seed gives one sequence, of which torch.randn(n) is the beginning, so that the first latents of a seed,
#   and the first samples of a generator, are the same however many are asked for.
# Behaviour: up to 15 numbers are drawn in another way than 16 and more: they share none with them. Of 16 and more, the
#   last 16 are drawn once more where n is no multiple of 16, so they differ, too: of 20 numbers 4 are those of
#   the longer sequence, of 33 numbers 17. Uniform numbers do begin alike. Latents of a length that is no multiple of 16
#   change for the last images of every batch.
# Output seen:
#   8 of 64 numbers: normal alike 0, uniform alike 8
#   15 of 64 numbers: normal alike 0, uniform alike 15
#   16 of 64 numbers: normal alike 16, uniform alike 16
#   20 of 64 numbers: normal alike 4, uniform alike 20
#   33 of 64 numbers: normal alike 17, uniform alike 33
#   48 of 64 numbers: normal alike 48, uniform alike 48
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch


def alike(draw, few, many):
    torch.manual_seed(0)
    short = draw(few)
    torch.manual_seed(0)
    differing = (short != draw(many)[:few]).nonzero()
    return int(differing[0]) if len(differing) else few


for few in (8, 15, 16, 20, 33, 48):
    print(f"{few} of 64 numbers: normal alike {alike(torch.randn, few, 64)}, uniform alike {alike(torch.rand, few, 64)}")
PYTHON
cat seen.txt
sed -n 's/^#   \([0-9]* of 64 .*\)/\1/p' "$script" | diff - seen.txt
