#!/usr/bin/env bash
# Library: litdata 0.2.76 with pillow 13.0.0 (litdata.optimize, litdata.StreamingDataset).
# Likely guess: a PIL image that a function of litdata.optimize returns is the same image in the stream: PNG and GIF with
#   a palette are ordinary, and other modes (grey, alpha, 16 bits, CMYK) come back as they were.
# Behaviour: of an image in mode P the mode, the size and the indices are stored, not the palette. It comes back with
#   colours of its own: here red and blue are black. Nothing is said. image.convert("RGB") before it helps.
# Output seen:
#   as a file: mode P, left [255, 0, 0], right [0, 0, 255]
#   from the stream: mode P, left [0, 0, 0], right [0, 0, 0]
#   converted to RGB before: mode RGB, left [255, 0, 0], right [0, 0, 255]
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 \
    litdata==0.2.76 pillow==13.0.0
cd "$folder"
cat > program.py <<'PYTHON'
import litdata
import numpy as np
from PIL import Image


def opened(index):
    image = Image.open("image.png")
    return {"image": image.convert("RGB") if index else image}


def told(what, image):
    left, right = np.array(image.convert("RGB"))[0, ::4].tolist()
    print(f"SEEN {what}: mode {image.mode}, left {left}, right {right}")


if __name__ == "__main__":
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(pixels).quantize(2).save("image.png")
    litdata.optimize(opened, [0, 1], "stream", chunk_bytes="1MB", num_workers=1)
    stream = litdata.StreamingDataset("stream")
    told("as a file", Image.open("image.png"))
    told("from the stream", stream[0]["image"])
    told("converted to RGB before", stream[1]["image"])
PYTHON
"$folder/environment/bin/python" program.py > all.txt 2> notes.txt
sed -n 's/^SEEN //p' all.txt > seen.txt
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
