#!/usr/bin/env bash
# Library: pillow 13.0.0, animations in GIF, APNG and WebP: Image.save with save_all and append_images.
# Likely guess: a film of N pictures has N frames, so that frame i is picture i: the samples of checkpoint i.
# Behaviour: equal neighbours become one frame that is shown longer, in all three formats, and no option keeps them apart.
#   The film of a generator that stood still, or of a run that was rolled back, has fewer frames than pictures; the times
#   at which a viewer sees each are right, and its numbers are not.
# Output seen:
#   GIF: 6 pictures, 3 frames, shown for 200, 300, 100 ms
#   PNG: 6 pictures, 3 frames, shown for 200, 300, 100 ms
#   WEBP: 6 pictures, 3 frames, shown for 200, 300, 100 ms
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import io

from PIL import Image

pictures = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 0, 100, 100, 100, 200)]
for kind in ("GIF", "PNG", "WEBP"):
    film = io.BytesIO()
    pictures[0].save(film, kind, save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    film.seek(0)
    read, times = Image.open(film), []
    for frame in range(read.n_frames):
        read.seek(frame)
        read.load()
        times.append(f"{read.info['duration']:.0f}")
    print(f"{kind}: {len(pictures)} pictures, {read.n_frames} frames, shown for {', '.join(times)} ms")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
