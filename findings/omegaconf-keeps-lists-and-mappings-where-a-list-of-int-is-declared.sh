#!/usr/bin/env bash
# Library: omegaconf 2.4.0, structured configurations.
# Likely guess: a field of type list[int] or dict[int, int] refuses an entry that is a list or a mapping, as it refuses a
#   text: merging {"widths": [[1]]} raises ValidationError.
# Behaviour: a text is refused, but a list or a mapping is kept as it is, so a checked recipe can hold [[1]] or
#   {8: {"a": 1}} where numbers are declared.
# Output seen:
#   text in list[int]: ValidationError
#   list in list[int]: kept [[1]]
#   mapping in list[int]: kept [{'a': 2}]
#   text in dict[int, int]: ValidationError
#   list in dict[int, int]: kept {8: [1]}
#   mapping in dict[int, int]: kept {8: {'a': 1}}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check omegaconf==2.4.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
from dataclasses import dataclass, field

from omegaconf import OmegaConf
from omegaconf.errors import ValidationError


@dataclass
class Settings:
    widths: list[int] = field(default_factory=list)
    batches: dict[int, int] = field(default_factory=dict)


CASES = {
    "text in list[int]": ("widths", ["x"]),
    "list in list[int]": ("widths", [[1]]),
    "mapping in list[int]": ("widths", [{"a": 2}]),
    "text in dict[int, int]": ("batches", {8: "x"}),
    "list in dict[int, int]": ("batches", {8: [1]}),
    "mapping in dict[int, int]": ("batches", {8: {"a": 1}}),
}
for name, (key, value) in CASES.items():
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Settings), {key: value})
        print(f"{name}: kept {OmegaConf.to_container(merged)[key]}")
    except ValidationError:
        print(f"{name}: ValidationError")
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
text in list[int]: ValidationError
list in list[int]: kept [[1]]
mapping in list[int]: kept [{'a': 2}]
text in dict[int, int]: ValidationError
list in dict[int, int]: kept {8: [1]}
mapping in dict[int, int]: kept {8: {'a': 1}}
SEEN
