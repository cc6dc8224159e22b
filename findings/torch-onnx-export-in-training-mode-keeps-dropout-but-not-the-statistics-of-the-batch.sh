#!/usr/bin/env bash
# Library: torch 2.15.0, torch.onnx.export as it comes, with onnx 1.23.2, onnxscript 0.7.2 and onnxruntime 1.32.0.
# Likely guess: a network in training mode is exported in training mode: there is a warning that says so, with the request
#   to make sure that it is intended. A generator that is meant to be sampled with the statistics of its batch, as DCGAN's
#   is, keeps them.
# Behaviour: dropout is exported as it is in training, and drops at random at every call; batch norm beside it is exported
#   as it is in evaluation, with the running statistics, and folded into the layer before it. The file is neither the
#   one network nor the other.
# Output seen:
#   batch norm in training: torch 1.00, the exported file 2.0 or more: True; operators: Conv
#   dropout in training: two calls of the exported file equal: False; operators: Dropout
#   warned of the training mode: True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 onnx==1.23.2 \
    onnxscript==0.7.2 onnxruntime==1.32.0
cd "$folder"
"$folder/environment/bin/python" - > all.txt 2> notes.txt <<'PYTHON'
import warnings

import onnx
import onnxruntime
import torch
from torch import nn


def exported(network, images):
    """Return a function that runs the file, its operators, and whether there was a warning of the training mode."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.onnx.export(network.train(), (images,), "network.onnx", verbose=False)
    session = onnxruntime.InferenceSession("network.onnx")
    (given,) = session.get_inputs()
    operators = ", ".join(node.op_type for node in onnx.load("network.onnx").graph.node)
    warned = any("training mode" in str(w.message) for w in caught)
    return lambda: torch.from_numpy(session.run(None, {given.name: images.numpy()})[0]), operators, warned


torch.manual_seed(0)
images = 5 * torch.randn(16, 4, 8, 8)
normed = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
run, operators, warned = exported(normed, images)
print(
    f"SEEN batch norm in training: torch {normed(images).std():.2f}, the exported file 2.0 or more: "
    f"{run().std().item() >= 2}; operators: {operators}"
)
run, operators, again = exported(nn.Dropout(0.5), images)
print(f"SEEN dropout in training: two calls of the exported file equal: {torch.equal(run(), run())}; operators: {operators}")
print(f"SEEN warned of the training mode: {warned and again}")
PYTHON
sed -n 's/^SEEN //p' all.txt > seen.txt
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
