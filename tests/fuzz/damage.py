"""Kinds of damage to the files of a release or a run: each changes a folder by a random choice and says what it did."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from zoo.io.files import sha256_of
from zoo.releases import release_format

ODD: list[Any] = [
    *(
        None,
        True,
        -1,
        0,
        3.7,
        10**30,
        1e308,
        math.nan,
        math.inf,
        -math.inf,
        "",
        "x" * 5000,
        "a\nb",
        "\0",
        "é",
        "\udc80",
    ),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "${oc.env:HOME}",
        "${images}",
        "os.system",
        "zoo.fit",
        "GAN",
        "Digits",
        "MixGAN",
    ),
    *(
        [],
        {},
        [1, [2, [3]]],
        {"a": {"b": {}}},
        {"class": "DCGAN"},
        ["a", 1],
        [math.nan],
        {"": None},
        "nan",
        "1e5",
        "true",
    ),
]
"""Values that stand where others belong."""
Damage = Callable[[random.Random, Path, Path], str]
"""A function that damages the first folder; the second is an intact folder of another model."""


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and of its subfolders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


# --- damage to bytes and files ---------------------------------------------------------------------------------------


def flip_bits(draw: random.Random, folder: Path, other: Path) -> str:
    """Flip one to eight bits of a file."""
    file = draw.choice(_files(folder))
    content = bytearray(file.read_bytes())
    places = [draw.randrange(8 * len(content)) for _ in range(draw.choice([1, 1, 1, 8]))] if content else []
    for place in places:
        content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)
    return f"{file.name}: bits {places} flipped"


def cut(draw: random.Random, folder: Path, other: Path) -> str:
    """Cut a file at a random place."""
    file = draw.choice(_files(folder))
    content = file.read_bytes()
    length = draw.choice([0, 1, 8, draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)])
    file.write_bytes(content[:length])
    return f"{file.name}: cut after {length} of {len(content)} bytes"


def blank(draw: random.Random, folder: Path, other: Path) -> str:
    """Replace a range of a file by zeros, as a power cut leaves them."""
    file = draw.choice(_files(folder))
    content = bytearray(file.read_bytes())
    start = draw.randrange(len(content) + 1)
    count = min(draw.choice([1, 16, 512, 4096]), len(content) - start)
    content[start : start + count] = bytes(count)
    file.write_bytes(content)
    return f"{file.name}: {count} bytes from {start} on are zero"


def append(draw: random.Random, folder: Path, other: Path) -> str:
    """Append random bytes to a file."""
    file = draw.choice(_files(folder))
    file.write_bytes(file.read_bytes() + draw.randbytes(draw.choice([1, 100, 10_000])))
    return f"{file.name}: bytes appended"


def remove(draw: random.Random, folder: Path, other: Path) -> str:
    """Remove a file."""
    file = draw.choice(_files(folder))
    file.unlink()
    return f"{file.name}: removed"


def swap(draw: random.Random, folder: Path, other: Path) -> str:
    """Exchange two files."""
    one, two = draw.choice(_files(folder)), draw.choice(_files(folder))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    return f"{one.name} and {two.name}: exchanged"


def copy_over(draw: random.Random, folder: Path, other: Path) -> str:
    """Write one file over another, or under another name beside it."""
    one, two = draw.choice(_files(folder)), draw.choice(_files(folder))
    name = draw.choice([two.name, f"{one.name}.bak", f"copy {one.name}", f"0{one.name}", f"9{one.name}", "x.pt"])
    two.with_name(name).write_bytes(one.read_bytes())
    return f"{one.name}: copied to {name}"


def of_another(draw: random.Random, folder: Path, other: Path) -> str:
    """Replace a file by one with the same ending of another model."""
    file = draw.choice(_files(folder))
    same = [path for path in _files(other) if path.suffix == file.suffix] or _files(other)
    chosen = draw.choice(same)
    file.write_bytes(chosen.read_bytes())
    return f"{file.name}: replaced by {chosen.name} of another model"


def in_place(draw: random.Random, folder: Path, other: Path) -> str:
    """Put a folder, a pipe or a link in the place of a file."""
    file = draw.choice(_files(folder))
    file.unlink()
    kind = draw.choice(["folder", "full folder", "pipe", "broken link", "link to itself", "link to a folder"])
    if "link" in kind:
        file.symlink_to({"broken link": "nowhere", "link to itself": file.name, "link to a folder": "."}[kind])
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
        if kind == "full folder":
            (file / "x").write_text("x")
    return f"{file.name}: a {kind} in its place"


# --- damage to JSON --------------------------------------------------------------------------------------------------


def _places(node: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each value within nested mappings and lists."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*keys, key)
        yield from _places(value, (*keys, key))


def _change_value(draw: random.Random, content: Any, odd: list[Any] = ODD) -> str:
    """Replace, remove, nest or rename one value within nested mappings and lists; return a description."""
    *keys, last = draw.choice(list(_places(content)))
    holder = content
    for key in keys:
        holder = holder[key]
    how = draw.choice(["replaced", "replaced", "replaced", "removed", "nested", "renamed"])
    where = ".".join(map(str, [*keys, last]))[:200]
    if how == "replaced":
        holder[last] = draw.choice(odd)
        return f"{where} is {str(holder[last])[:60]!r}"
    if how == "nested":
        for _ in range(draw.choice([1, 3, 40])):
            holder[last] = draw.choice([[holder[last]], {"class": holder[last]}])
    elif how == "removed" or not isinstance(holder, dict):
        del holder[last]
    else:
        holder[f"{last}_"] = holder.pop(last)
    return f"{where} {how}"


def change_json(draw: random.Random, folder: Path, other: Path) -> str:
    """Change a value in a JSON file of a release; sometimes its digest is corrected, as by one who means it."""
    file = draw.choice([path for path in _files(folder) if path.suffix == ".json"])
    content = json.loads(file.read_text())
    what = [_change_value(draw, content) for _ in range(draw.choice([1, 1, 3]))]
    file.write_text(json.dumps(content))
    config = folder / release_format.CONFIG
    if file != config and draw.random() < 0.7:
        _correct_digest(folder, file.name)
        what.append("digest corrected")
    return f"{file.name}: {'; '.join(what)}"


def change_everywhere(draw: random.Random, folder: Path, other: Path) -> str:
    """Change a value that builds the model in the configuration and in the header of the weights alike."""
    config = json.loads((folder / release_format.CONFIG).read_text())
    part = {key: config[key] for key in release_format.BUILDING if key in config}
    what = _change_value(draw, part)
    for key in release_format.BUILDING:
        config.pop(key, None)
    (folder / release_format.CONFIG).write_text(json.dumps({**config, **part}))
    header, rest = _header(folder)
    header["__metadata__"][release_format.HEADER_KEY] = json.dumps(part)
    _write_header(folder, header, rest)
    return f"configuration and header: {what}"


def change_header(draw: random.Random, folder: Path, other: Path) -> str:
    """Change shape, type or place of a tensor in the header of the weights, with a correct digest."""
    header, rest = _header(folder)
    names = [name for name in header if name != "__metadata__"]
    name = draw.choice(names)
    entry = header[name]
    if draw.random() < 0.3:
        what = _change_value(draw, entry, [*ODD, -8, 2**40, "F16", "BF16", "I32", "U8", "F8_E4M3"])
    else:
        key = draw.choice(["dtype", "shape", "data_offsets"])
        entry[key] = {
            "dtype": draw.choice(["F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "BOOL", "f32", 4, None]),
            "shape": draw.choice(
                [[], [0], [-1], entry["shape"][::-1], [*entry["shape"], 1], [2**62, 4], [1.5], "4", None]
            ),
            "data_offsets": draw.choice(
                [[0, 0], [0, 2**40], [-4, 4], entry["data_offsets"][::-1], [0], [0.5, 1], None]
            ),
        }[key]
        what = f"{key} is {entry[key]}"
    _write_header(folder, header, rest)
    return f"header: {name} {what}"


def _header(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of the weights, and the bytes after it."""
    content = (folder / release_format.WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _write_header(folder: Path, header: dict[str, Any], rest: bytes) -> None:
    """Write weights with another header, and correct their digest."""
    text = json.dumps(header).encode()
    (folder / release_format.WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + rest)
    _correct_digest(folder, release_format.WEIGHTS)


def _correct_digest(folder: Path, name: str) -> None:
    """Write the digest of a file into the configuration, if that has a place for it."""
    config = json.loads((folder / release_format.CONFIG).read_text())
    if isinstance(config.get("files"), dict):
        config["files"][name] = {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        (folder / release_format.CONFIG).write_text(json.dumps(config))


# --- damage to checkpoints -------------------------------------------------------------------------------------------


def change_state(draw: random.Random, folder: Path, other: Path) -> str:
    """Change a value of a checkpoint, and write it again with correct checksums; no number of a weight is changed."""
    file = draw.choice([path for path in _files(folder) if path.suffix == ".ckpt"])
    state = torch.load(file, weights_only=True)
    odd = [*ODD, torch.zeros(()), torch.zeros(3), torch.full((2, 2), math.nan)]
    if draw.random() < 0.3:
        part: Any = {key: state[key] for key in [draw.choice(list(state))]}
    else:
        part = draw.choice(
            [state, state["zoo"], *([each] if isinstance(each := draw.choice(list(state.values())), dict) else [])]
        )
    what = _change_value(draw, part, odd)
    if part is not state and set(part) & set(state):
        state.update(part)
    torch.save(state, file)
    return f"{file.name}: {what}"


def reshape_state(draw: random.Random, folder: Path, other: Path) -> str:
    """Give a tensor of a checkpoint another type or shape, or leave it out."""
    file = draw.choice([path for path in _files(folder) if path.suffix == ".ckpt"])
    state = torch.load(file, weights_only=True)
    name = draw.choice(list(state["state_dict"]))
    tensor = state["state_dict"].pop(name)
    how = draw.choice(
        ["left out", "int64", "int8", "bool", "float64", "complex64", "flat", "one more", "on meta", "sparse"]
    )
    if how in ("int64", "int8", "bool", "float64", "complex64"):
        state["state_dict"][name] = tensor.to(getattr(torch, how))
    elif how != "left out":
        state["state_dict"][name] = {
            "flat": tensor.flatten,
            "one more": lambda: tensor[None],
            "on meta": lambda: tensor.to("meta"),
            "sparse": lambda: tensor.to_sparse(),
        }[how]()
    torch.save(state, file)
    return f"{file.name}: {name} {how}"


FILES: list[Damage] = [flip_bits, cut, blank, append, remove, swap, copy_over, of_another, in_place]
RELEASE: list[Damage] = [*FILES, flip_bits, cut, *[change_json] * 4, *[change_everywhere] * 3, *[change_header] * 4]
CHECKPOINT: list[Damage] = [*FILES, flip_bits, cut, flip_bits, blank, *[change_state] * 6, *[reshape_state] * 2]


def damaged_copy(draw: random.Random, intact: Path, other: Path, kinds: list[Damage], place: Path) -> str:
    """Copy a folder and damage the copy; return a description.

    Args:
        draw: source of random choices.
        intact: the folder.
        other: an intact folder of another model.
        kinds: kinds of damage to choose from.
        place: path of the copy, which is overwritten.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(intact, place)
    kind = draw.choice(kinds)
    return f"{kind.__name__}: {kind(draw, place, other)}"
