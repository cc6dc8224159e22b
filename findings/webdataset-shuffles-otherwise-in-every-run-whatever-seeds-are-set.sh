#!/usr/bin/env bash
# Library: webdataset 1.0.2, WebDataset(seed=...) and its shuffle(size).
# Likely guess: with the seeds of random, numpy and the data set set, samples come in the same order in every run.
# Behaviour: the shuffle of samples has a generator of its own, which is made from the process and the time; the seed of the
#   data set is for the shards alone, and the global seeds are not asked. Only shuffle(size, seed=...) repeats an order.
# Output seen:
#   seeds of random, numpy and the data set: two orders equal False
#   seed of shuffle: two orders equal True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check webdataset==1.0.2 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import random

import numpy as np
import webdataset

with webdataset.TarWriter("shard.tar") as shard:
    for i in range(50):
        shard.write({"__key__": f"{i:03}", "cls": i})


def order(**settings):
    random.seed(0)
    np.random.seed(0)
    samples = webdataset.WebDataset("shard.tar", shardshuffle=False, seed=0).shuffle(50, **settings)
    return [sample["cls"] for sample in samples]


print(f"seeds of random, numpy and the data set: two orders equal {order() == order()}")
print(f"seed of shuffle: two orders equal {order(seed=0) == order(seed=0)}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
