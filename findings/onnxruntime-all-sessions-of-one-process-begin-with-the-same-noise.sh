#!/usr/bin/env bash
# Library: onnxruntime 1.32.0 on a file of torch 2.15.0 (onnx 1.23.2, onnxscript 0.7.2) that draws noise.
# Likely guess: a generator that draws its latents or noise inside of the file draws others in every session: no seed was
#   given, neither to the file nor to onnxruntime. A server with one session per thread serves different images.
# Behaviour: all sessions of one process that are made without a seed begin with the same numbers. Calls of one session
#   differ; the n-th call of each session is the same. Another process draws others.
# Output seen:
#   two calls of one session: equal False
#   first calls of two sessions: equal True
#   second calls of two sessions: equal True
#   two nodes of one call: equal False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 onnx==1.23.2 \
    onnxscript==0.7.2 onnxruntime==1.32.0
cd "$folder"
"$folder/environment/bin/python" - > all.txt 2> notes.txt <<'PYTHON'
import numpy as np
import onnxruntime
import torch


class Noise(torch.nn.Module):
    def forward(self, images):
        return images + torch.randn_like(images), images + torch.randn_like(images)


zeros = torch.zeros(4, 3, 8, 8)
torch.onnx.export(Noise(), (zeros,), "noise.onnx", verbose=False)


def two_calls():
    session = onnxruntime.InferenceSession("noise.onnx")
    (given,) = session.get_inputs()
    return [session.run(None, {given.name: zeros.numpy()}) for _ in range(2)]


(a, b), (c, d) = two_calls(), two_calls()
print(f"SEEN two calls of one session: equal {np.array_equal(a[0], b[0])}")
print(f"SEEN first calls of two sessions: equal {np.array_equal(a[0], c[0])}")
print(f"SEEN second calls of two sessions: equal {np.array_equal(b[0], d[0])}")
print(f"SEEN two nodes of one call: equal {np.array_equal(a[0], a[1])}")
PYTHON
sed -n 's/^SEEN //p' all.txt > seen.txt
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
