#!/usr/bin/env bash
# Library: torchmetrics 1.9.0, torchmetrics.MetricCollection as it comes.
# Likely guess: metrics share their counts where they count the same things: where class and settings say so. Two
#   accuracies of a discriminator, at scores above 0.5 and above 0.1, count different things and never share.
# Behaviour: after the first update the states are compared, and metrics whose numbers are equal there share one state
#   from then on: only one of the two goes on counting. If no score of the first batch lies between the thresholds, both
#   report the value of one threshold for the rest of the run; which one is decided by their names' order. The same
#   metrics outside of a collection, or with compute_groups=False, differ.
# Output seen:
#   collection: at 0.5 1.0, at 0.1 1.0
#   without groups: at 0.5 0.4, at 0.1 1.0
#   the first batch with one more score of 0.3: at 0.5 0.3, at 0.1 1.0
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy


def told(what, batches, **settings):
    metrics = MetricCollection(
        {"at 0_5": BinaryAccuracy(threshold=0.5), "at 0_1": BinaryAccuracy(threshold=0.1)}, **settings
    )
    for scores in batches:
        metrics.update(torch.tensor(scores), torch.ones(len(scores), dtype=torch.long))
    found = metrics.compute()
    print(f"{what}: at 0.5 {found['at 0_5']:.1f}, at 0.1 {found['at 0_1']:.1f}")


told("collection", [[0.9, 0.8], [0.3, 0.2, 0.3]])
told("without groups", [[0.9, 0.8], [0.3, 0.2, 0.3]], compute_groups=False)
told("the first batch with one more score of 0.3", [[0.9, 0.8, 0.3], [0.3, 0.2, 0.3]])
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
