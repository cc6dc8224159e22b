#!/usr/bin/env bash
# Library: safetensors 0.8.0, numpy 2.4.6.
# Likely guess: a dictionary of tensors comes back in the order in which it was saved, or at least in one order, so two
#   state dictionaries can be walked side by side, or digested in order.
# Behaviour: none of the three ways of reading keeps the order of saving. `load_file` has the tensors in the order of their
#   place in the file (wide types first, then names), `safe_open(...).keys()` by name, and `load` of the same bytes in an
#   order that differs from process to process.
# Output seen:
#   saved: c, a, d, b, e, f, g, wide
#   load_file: wide, a, b, c, d, e, f, g
#   safe_open: a, b, c, d, e, f, g, wide
#   load of bytes: as saved in none of 8 processes: True, orders seen: more than one
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$folder"
cat > saved.py <<'PYTHON'
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

tensors = {name: np.zeros(2, np.float32) for name in "cadbefg"} | {"wide": np.zeros(2, np.float64)}
save_file(tensors, "tensors.safetensors")
print("saved:", ", ".join(tensors))
print("load_file:", ", ".join(load_file("tensors.safetensors")))
with safe_open("tensors.safetensors", "np") as file:
    print("safe_open:", ", ".join(file.keys()))
PYTHON
"$folder/environment/bin/python" saved.py > seen.txt
for _ in 1 2 3 4 5 6 7 8; do
    "$folder/environment/bin/python" -c \
        'from safetensors.numpy import load; print(", ".join(load(open("tensors.safetensors", "rb").read())))'
done > orders.txt
as_saved=$(sed -n 's/^saved: //p' seen.txt)
none=$(grep -qxF "$as_saved" orders.txt && echo False || echo True)
several=$([ "$(sort -u orders.txt | wc -l)" -gt 1 ] && echo "more than one" || echo one)
echo "load of bytes: as saved in none of 8 processes: $none, orders seen: $several" >> seen.txt
cat seen.txt
sed -n '/^# Output seen/,/^set/s/^#   //p' "$script" | diff - seen.txt
