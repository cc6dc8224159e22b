#!/usr/bin/env bash
# Libraries: pillow 13.0.0 reading what tifffile 2026.3.3 writes, as microscopes and scanners do.
# Likely guess: the tag PhotometricInterpretation = WhiteIsZero is honoured at every depth, so that a picture looks the
#   same whether it is stored with 8 or with 16 bits.
# Behaviour: 8-bit values are inverted on reading, 16-bit values are not, and the modes (L, I;16) do not say so. A
#   data set that mixes the two depths becomes half negative.
# Output seen:
#   BlackIsZero  8 bits L [0, 3, 234, 255]
#   BlackIsZero 16 bits I;16 [0, 1000, 60000, 65535]
#   WhiteIsZero  8 bits L [255, 252, 21, 0]
#   WhiteIsZero 16 bits I;16 [0, 1000, 60000, 65535]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image

values = np.array([[0, 1000], [60000, 65535]], dtype=np.uint16)
for photometric, name in (("minisblack", "BlackIsZero"), ("miniswhite", "WhiteIsZero")):
    for bits, stored in ((8, (values >> 8).astype(np.uint8)), (16, values)):
        file = io.BytesIO()
        tifffile.imwrite(file, stored, photometric=photometric)
        image = Image.open(file)
        print(f"{name} {bits:2d} bits {image.mode} {np.asarray(image).ravel().tolist()}")
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
BlackIsZero  8 bits L [0, 3, 234, 255]
BlackIsZero 16 bits I;16 [0, 1000, 60000, 65535]
WhiteIsZero  8 bits L [255, 252, 21, 0]
WhiteIsZero 16 bits I;16 [0, 1000, 60000, 65535]
SEEN
