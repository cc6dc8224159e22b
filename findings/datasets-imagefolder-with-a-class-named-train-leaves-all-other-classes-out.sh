#!/usr/bin/env bash
# Library: datasets 5.2.0, load_dataset("imagefolder").
# Likely guess: a folder with one subfolder per class is read whole, with the subfolders as classes, whatever they are
#   called: it is the layout of torchvision's ImageFolder. What cannot be read is refused.
# Behaviour: words in the names of folders and files (train, test, val, dev, eval and others) are taken for splits first.
#   With pictures of locomotives in a class "train", the data set is a split "train" of these pictures; the other classes
#   are left out, and so are the classes as such. One picture "crash test.png" among others does the same. Nothing is said.
# Output seen:
#   boat, car, plane: train 3 of 3, features image, label
#   boat, car, train: train 1 of 3, features image
#   boat/a.png, car/crash test.png, plane/a.png: test 1 of 3, features image
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/environment/bin/python" - > seen.txt 2> notes.txt <<'PYTHON'
from pathlib import Path

from datasets import load_dataset
from PIL import Image


def told(what, names, folder):
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(path)
    found = load_dataset("imagefolder", data_dir=folder)
    splits = ", ".join(f"{split} {len(part)} of {len(names)}" for split, part in found.items())
    features = ", ".join(next(iter(found.values())).features)
    print(f"{what}: {splits}, features {features}")


told("boat, car, plane", ["boat/a.png", "car/a.png", "plane/a.png"], "first")
told("boat, car, train", ["boat/a.png", "car/a.png", "train/a.png"], "second")
names = ["boat/a.png", "car/crash test.png", "plane/a.png"]
told(", ".join(names), names, "third")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
