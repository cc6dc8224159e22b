"""The model card: `README.md` of a release, made from its other files alone, so that it cannot say what they do not.

`zoo.hub.verify` makes it again and compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from zoo.errors import ReleaseError, did_you_mean, first_line
from zoo.releases.release_format import user_class_paths

LICENCE = "apache-2.0"  # of the weights, unless `about` says otherwise
NOT_RECORDED = "not recorded"
TASK = "unconditional-image-generation"  # the hub's nearest; it has no word for classes as the only condition
LOW_COVERAGE = 0.8  # as a share of what real images reach
WHAT_LOW_MEANS = {
    **dict.fromkeys(("coverage", "recall"), "parts of the data are rarely drawn"),
    **dict.fromkeys(("density", "precision"), "some samples look like no real image"),
}


ABOUT: dict[str, Any] = {
    "name": str,
    "where": str,
    "summary": str,
    "licence": str,
    "data": dict,
    "training": dict,
    "weaknesses": (list, str),
}
"""What may be said about a release, and as what."""


def card(config: Mapping[str, Any], metrics: Mapping[str, Any] | None, audit: Mapping[str, Any] | None = None) -> str:
    """The card's text.

    Args:
        config: `config.json`. `about` may hold `name`, `where` (what `from_pretrained` takes; the name if left out),
            `summary`, `licence` (of the weights), `data` (`name`, `licence`, `source`, `train`, `held_out`, `digest`),
            `training` (`recipe`, `images`, `hours`, `machine`, `precision`, `packages`, `commit`, `checkpoint`) and
            `weaknesses` (a list).
        metrics: `metrics.json`: a list of what `zoo.evaluate` wrote, under `evaluations`; None where there is none.
        audit: `audit.json`, the report of `zoo.audit`; None where there is none.
    """
    about = config.get("about") or {}
    name = str(about.get("name") or config["class"])
    parts = [
        front_matter(config, metrics, name),
        f"# {name}\n",
        _what(config, about),
        _use(config, name),
        "## Samples\n",
        _grid(config),
        "## Training data\n",
        _data(about.get("data") or {}),
        "## Training\n",
        _training(config, about.get("training") or {}),
        "## Numbers\n",
        _numbers(metrics),
        "## Audit\n" if audit else "",
        _audit(audit) if audit else "",
        "## Known weaknesses\n",
        "\n".join(f"- {line}" for line in weaknesses(config, metrics, audit)) + "\n",
        "## Files\n",
        _files(config),
    ]
    return "\n".join(part for part in parts if part)


def checked(about: Any) -> dict[str, Any]:
    """What a card shall say, as `card` reads it; a single weakness may be a text.

    Raises:
        ReleaseError: for anything that a card could not show.
    """
    if not isinstance(about, Mapping):
        raise ReleaseError(f"about must be a mapping with {', '.join(ABOUT)}; got {about!r}")
    found = dict(about)
    for key, value in found.items():
        if key not in ABOUT:
            raise ReleaseError(f"about: there is no {key!r}.{did_you_mean(str(key), ABOUT)}")
        if not isinstance(value, ABOUT[key]):
            kind = "a mapping" if ABOUT[key] is dict else "a list of texts" if key == "weaknesses" else "a text"
            raise ReleaseError(f"about: {key} is {kind}; got {value!r}")
    if isinstance(found.get("weaknesses"), str):
        found["weaknesses"] = [found["weaknesses"]] if found["weaknesses"] else []
    training = found.get("training", {})
    if not isinstance(training.get("hours", 0), (int, float)) or not isinstance(training.get("packages", {}), dict):
        raise ReleaseError("about: training.hours is a number, and training.packages a mapping from names to versions")
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ReleaseError(f"about holds what is no plain, finite value: {first_line(error)}") from error
    return found


def front_matter(config: Mapping[str, Any], metrics: Mapping[str, Any] | None, name: str) -> str:
    """What the hub reads: licence, library, task, tags, and the numbers as `model-index`."""
    about = config.get("about") or {}
    matter: dict[str, Any] = {
        "license": about.get("licence") or LICENCE,
        "library_name": "gan-zoo",
        "pipeline_tag": TASK,
        "tags": ["gan", config["class"].rpartition(".")[2].lower(), "image-generation", "pytorch-lightning"],
    }
    found = [
        # no "fid" where it is none: published ones are of the Inception network
        {"type": re.sub("[^a-z0-9]+", "-", number["label"].lower()), "name": number["label"], "value": number["value"]}
        for row in _whole(metrics)
        for number in row["numbers"]
        if number["value"] is not None
    ]
    if found:
        data = str((about.get("data") or {}).get("name") or NOT_RECORDED)
        result = {
            "task": {"type": TASK},
            "dataset": {"name": data, "type": re.sub("[^a-z0-9]+", "-", data.lower())},
            "metrics": found,
        }
        matter["model-index"] = [{"name": name, "results": [result]}]
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n"


def _what(config: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    images = config["images"]
    size = f"{images['resolution']} px, {images['channels']} channel{'' if images['channels'] == 1 else 's'}"
    classes = f", {images['num_classes']} classes" if images["num_classes"] else ""
    text = f"{about['summary']}\n\n" if about.get("summary") else ""
    text += f"A `{config['class']}` of gan-zoo ({size}{classes}): the averaged generator and the discriminator.\n"
    if config["dtype"] != "float32":
        text += f"Weights are stored as {config['dtype']}, rounded, to halve the file, and computed with in float32.\n"
    if config.get("origin"):
        text += (
            "\nConverted from weights trained elsewhere: "
            + "; ".join(f"{key}: {value}" for key, value in config["origin"].items())
            + ".\n"
        )
    return text


def _use(config: Mapping[str, Any], name: str) -> str:
    own = [name.rpartition(".")[::2] for name in user_class_paths(config)]
    imports = "".join(f"from {module} import {own_class}\n" for module, own_class in own)
    classes = [own_class for _, own_class in own]
    cls = f", cls={classes[0]}" if len(classes) == 1 else f", cls=({', '.join(classes)})" if classes else ""
    where = (config.get("about") or {}).get("where") or name
    labels = ", labels=[0, 1, 2, 3]" if config["images"]["num_classes"] >= 4 else ""
    return (
        f'```python\nimport zoo\n{imports}\nmodel = zoo.from_pretrained("{where}"{cls})\n'
        f"images = model.sample(4, seed=0{labels})  # in [-1, 1]\n```\n"
    )


def _grid(config: Mapping[str, Any]) -> str:
    grid = config["grid"]
    order = "; each column is one class, in order" if config["images"]["num_classes"] else ""
    return (
        f"![samples](grid.png)\n\nThe first {grid['samples']} samples of seed {grid['seed']}{order}. Nothing was "
        f"picked. The same call gives the same pixels on the platform that drew them: {grid['platform']}.\n"
    )


def _data(data: Mapping[str, Any]) -> str:
    if not data:
        return f"{NOT_RECORDED.capitalize()}.\n"
    lines = [f"- {data.get('name', NOT_RECORDED)}", f"- licence: {data.get('licence', NOT_RECORDED)}"]
    if data.get("source"):
        lines.append(f"- source: {data['source']}")
    if data.get("train"):
        lines.append(
            f"- {data['train']:,} images to train on, {data.get('held_out', 0):,} held out and never trained on"
        )
    return "\n".join(lines) + "\n"


def _training(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    lines = [f"- {config['images_seen']:,} images shown to the discriminator, {config['rounds']:,} rounds"]
    if config["images_undone"]:
        lines.append(f"- {config['images_undone']:,} of these images in rounds that were undone after an alarm")
    if config.get("origin") is None:
        for key, words in (
            ("recipe", "recipe"),
            ("machine", "machine"),
            ("precision", "precision"),
            ("commit", "commit"),
        ):
            lines.append(f"- {words}: {training.get(key) or NOT_RECORDED}")
        if training.get("pretrained"):
            lines.append("- started from: " + _started_from(training["pretrained"]))
        if training.get("checkpoint"):
            lines.append(f"- checkpoint: {training['checkpoint']}")
        hours = training.get("hours")
        lines.append(f"- duration: {NOT_RECORDED if hours is None else duration(hours)}")
        if training.get("packages"):
            lines.append("- packages: " + ", ".join(f"{k} {v}" for k, v in training["packages"].items() if v))
    return "\n".join(lines) + "\n"


def _started_from(pretrained: Mapping[str, Any]) -> str:
    anew = len(pretrained["anew"])
    besides = f", but for {anew} of {anew + pretrained['taken']} tensors, which were drawn anew" if anew else ""
    return f"the weights of {pretrained['from']} (sha256 {pretrained['sha256'][:16]}){besides}"


def duration(hours: float) -> str:
    """Hours, or minutes of the first one."""
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [row for found in (metrics or {}).get("evaluations", []) for row in found["rows"]]


def _whole(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Rows of the model as it is: without truncation, and of all its members together."""
    return [row for row in _rows(metrics) if row["truncation"] is None and row.get("component") is None]


def shown(value: Any) -> str:
    """A number as cards show it."""
    return "" if value is None else f"{value:.5g}"


def _numbers(metrics: Mapping[str, Any] | None) -> str:
    if not _rows(metrics):
        return "None were measured.\n"
    blocks = []
    for found in (metrics or {})["evaluations"]:
        for row in found["rows"]:
            blocks.append(_table(row))
        blocks += [f"Note: {note}.\n" for note in found.get("notes", [])]
    return "\n".join(blocks)


def _table(row: Mapping[str, Any]) -> str:
    """One table, and under it the protocol of its numbers."""
    lines = [
        "| number | value | 95 % interval | real against real | better | generated | real |",
        "|---|---|---|---|---|---|---|",
    ]
    shared: dict[str, Any] = {}
    metrics = []
    for number in row["numbers"]:
        interval = "" if number["low"] is None else f"{shown(number['low'])} to {shown(number['high'])}"
        floor = shown(number["floor"])
        if floor and number.get("floor_n") and number["floor_n"][0] != number["protocol"]["n_real"]:
            floor += f" (at {number['floor_n'][0]})"
        better = "higher" if number["higher_is_better"] else "lower"
        own = number["protocol"]
        lines.append(
            f"| {number['label']} | {shown(number['value'])} | {interval} | {floor} | {better} | "
            f"{own['n_fake']} | {own['n_real']} |"
        )
        shared |= own
        if own.get("metric") not in metrics:
            metrics.append(own.get("metric"))
    if row.get("cas"):
        cas = row["cas"]
        lines.append(
            f"| classification accuracy score | {shown(cas['score'])} | {shown(cas['low'])} to "
            f"{shown(cas['high'])} | {shown(cas['reference'])} | higher | | |"
        )
    left_out = ("metric", "n_real", "n_fake")
    protocol = [f"{key}: {value}" for key, value in shared.items() if key not in left_out and value is not None]
    alone = "" if row.get("component") is None else f"Generator {row['component']} of the mixture alone:\n\n"
    protocol.append("metrics: " + ", ".join(map(str, metrics)))
    return alone + "\n".join(lines) + "\n\nProtocol: " + "; ".join(protocol) + ".\n"


def _audit(audit: Mapping[str, Any]) -> str:
    """The verdict and the answers; statistics, intervals and pictures are in the report."""
    about = audit["about"]
    lines = [
        f"{audit['summary']}\n",
        f"By `python -m zoo.audit` (budget {about['budget']}, seed {about['seed']}, extractor "
        f"{about['extractor']['name']}, {about['used'].get('generated', 0):,} generated, {about['used']['train']:,} "
        f"training and {about['used']['held_out']:,} held-out images). The whole report: [audit.html](audit.html).\n",
        "| question | status | answer |",
        "|---|---|---|",
    ]
    for finding in audit["findings"]:
        cells = (finding["question"], finding["status"], finding["answer"])
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def weaknesses(
    config: Mapping[str, Any], metrics: Mapping[str, Any] | None, audit: Mapping[str, Any] | None = None
) -> list[str]:
    """What the release's own numbers and its audit say against it, then what its maker says."""
    found = [line for row in _whole(metrics) for line in map(_against, row["numbers"]) if line]
    if audit and audit["verdict"] != ["healthy"]:
        found.insert(0, f"the audit's verdict: {audit['summary']}")
    if not _rows(metrics):
        found.append("nothing about this model was measured")
    if (config.get("origin") or {}).get("missing"):
        found.append(f"it came without {config['origin']['missing']}: what is there has random weights")
    found += (config.get("about") or {}).get("weaknesses") or []
    untested = "" if audit else "; they are few, and whether it memorises was not tested"
    return found or [f"none that its numbers show{untested}"]


def _against(number: Mapping[str, Any]) -> str:
    """What a number says against the release; empty where it says nothing."""
    value, floor = number["value"], number["floor"]
    if value is None:
        return ""
    if number["key"] in WHAT_LOW_MEANS and floor and value < LOW_COVERAGE * floor:
        meaning = WHAT_LOW_MEANS[number["key"]]
        return f"{number['label']} is {shown(value)}, real images reach {shown(floor)}: {meaning}"
    if number["key"] == "classes_missing" and value:
        return f"{shown(value)} classes are never drawn"
    return ""


def _files(config: Mapping[str, Any]) -> str:
    lines = ["| file | bytes | sha256 |", "|---|---|---|"]
    lines += [f"| {name} | {entry['size']} | `{entry['sha256']}` |" for name, entry in config["files"].items()]
    return "\n".join(lines) + "\n"
