#!/usr/bin/env bash
# Library: safetensors 0.8.0, safetensors.numpy.
# Likely guess: an array is saved as its values, whatever its layout in memory: numpy's own save does so, and
#   safetensors.torch refuses a tensor that is not contiguous. At worst there is an error.
# Behaviour: the bytes are taken from memory as they lie, with the shape of the array. A transposed array, or one in
#   Fortran order, is written with its values in other places, and is read again so, without a
#   word. (Its documentation asks for contiguous arrays; nothing checks it.) np.ascontiguousarray before it helps.
# Output seen:
#   contiguous: kept
#   transposed: [[0, 3], [1, 4], [2, 5]] is read as [[0, 1], [2, 3], [4, 5]]
#   in Fortran order: [[0, 1, 2], [3, 4, 5]] is read as [[0, 3, 1], [4, 2, 5]]
#   numpy.save of all three: kept
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 safetensors==0.8.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import io

import numpy as np
from safetensors.numpy import load, save


def told(what, array):
    again = load(save({"array": array}))["array"]
    print(f"{what}: " + ("kept" if np.array_equal(again, array) else f"{array.tolist()} is read as {again.tolist()}"))


array = np.arange(6).reshape(2, 3)
told("contiguous", array)
told("transposed", array.T)
told("in Fortran order", np.asfortranarray(array))
kept = []
for one in (array, array.T, np.asfortranarray(array)):
    file = io.BytesIO()
    np.save(file, one)
    file.seek(0)
    kept.append(np.array_equal(np.load(file), one))
print("numpy.save of all three: " + ("kept" if all(kept) else "changed"))
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
