"""The model card, `README.md` of a release. It is written from the other files of the release alone, so that it cannot
claim anything that they do not contain; `zoo.hub.verify` writes it again and compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import ReleaseError, did_you_mean, first_line
from zoo.releases.release_format import user_class_paths
from zoo.rendering.templating import render

TEMPLATE = Path(__file__).with_name("templates") / "card.md"
LICENCE = "apache-2.0"  # of the weights, unless `about` has another
NOT_RECORDED = "not recorded"
TASK = "unconditional-image-generation"  # the closest task of the hub, which has none for classes as the only condition
LOW_COVERAGE = 0.8  # share of the value of real images below which a number is a weakness
MEANING_OF_LOW = {
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
"""Facts about a release that its maker may give, with their types."""
DATA_FACTS = ("name", "licence", "source", "train", "held_out")
TRAINING_FACTS = ("recipe", "machine", "precision", "commit", "pretrained", "checkpoint", "hours", "packages")


def card(config: Mapping[str, Any], metrics: Mapping[str, Any] | None, audit: Mapping[str, Any] | None = None) -> str:
    """Write the text of a model card.

    Args:
        config: content of `config.json`. `about` may have `name`, `where` (the argument of `from_pretrained`; the name
            if left out), `summary`, `licence` (of the weights), `data` (`name`, `licence`, `source`, `train`,
            `held_out`, `digest`), `training` (`recipe`, `images`, `hours`, `machine`, `precision`, `packages`,
            `commit`, `checkpoint`) and `weaknesses` (a list).
        metrics: content of `metrics.json`: results of `zoo.evaluate` in a list under `evaluations`; None without it.
        audit: content of `audit.json`, the report of `zoo.audit`; None without it.
    """
    about = config.get("about") or {}
    name = str(about.get("name") or config["class"])
    return render(
        TEMPLATE,
        name=name,
        front_matter=front_matter(config, metrics, name),
        config={**config, "origin": config.get("origin")},
        about={**dict.fromkeys(ABOUT), **about},
        images=config["images"],
        own_classes=[path.rpartition(".")[::2] for path in user_class_paths(config)],
        data=about.get("data") and {**dict.fromkeys(DATA_FACTS), **about["data"]},
        training={**dict.fromkeys(TRAINING_FACTS), **(about.get("training") or {})},
        has_numbers=bool(_rows(metrics)),
        evaluations=[_evaluation(evaluation) for evaluation in (metrics or {}).get("evaluations", [])],
        audit=audit,
        weaknesses=weaknesses(config, metrics, audit),
        cell=_cell,
        duration=duration,
        initial_weights=_initial_weights,
        NOT_RECORDED=NOT_RECORDED,
    )


def checked(about: Any) -> dict[str, Any]:
    """Check the facts for a card.

    Args:
        about: a mapping with some of the keys of `ABOUT`; a single weakness may be given as a text.

    Returns:
        A copy in which `weaknesses` is a list.

    Raises:
        ReleaseError: for anything that a card cannot show.
    """
    if not isinstance(about, Mapping):
        raise ReleaseError(f"about must be a mapping with {', '.join(ABOUT)}; got {about!r}")
    facts = dict(about)
    for key, value in facts.items():
        if key not in ABOUT:
            raise ReleaseError(f"about: there is no {key!r}.{did_you_mean(str(key), ABOUT)}")
        if not isinstance(value, ABOUT[key]):
            kind = "a mapping" if ABOUT[key] is dict else "a list of texts" if key == "weaknesses" else "a text"
            raise ReleaseError(f"about: {key} is {kind}; got {value!r}")
    if isinstance(facts.get("weaknesses"), str):
        facts["weaknesses"] = [facts["weaknesses"]] if facts["weaknesses"] else []
    training = facts.get("training", {})
    if not isinstance(training.get("hours", 0), (int, float)) or not isinstance(training.get("packages", {}), dict):
        raise ReleaseError("about: training.hours is a number, and training.packages a mapping from names to versions")
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ReleaseError(f"about: a card shows plain, finite values; got another: {first_line(error)}") from error
    return facts


def front_matter(config: Mapping[str, Any], metrics: Mapping[str, Any] | None, name: str) -> str:
    """Write the front matter that the hub reads: licence, library, task, tags, and the numbers as `model-index`."""
    about = config.get("about") or {}
    matter: dict[str, Any] = {
        "license": about.get("licence") or LICENCE,
        "library_name": "gan-zoo",
        "pipeline_tag": TASK,
        "tags": ["gan", config["class"].rpartition(".")[2].lower(), "image-generation", "pytorch-lightning"],
    }
    numbers = [
        # The label, not "fid": published FIDs are of the Inception network.
        {"type": re.sub("[^a-z0-9]+", "-", number["label"].lower()), "name": number["label"], "value": number["value"]}
        for row in _rows_of_the_model(metrics)
        for number in row["numbers"]
        if number["value"] is not None
    ]
    if numbers:
        data = str((about.get("data") or {}).get("name") or NOT_RECORDED)
        result = {
            "task": {"type": TASK},
            "dataset": {"name": data, "type": re.sub("[^a-z0-9]+", "-", data.lower())},
            "metrics": numbers,
        }
        matter["model-index"] = [{"name": name, "results": [result]}]
    return str(yaml.safe_dump(matter, sort_keys=False, allow_unicode=True))


def weaknesses(
    config: Mapping[str, Any], metrics: Mapping[str, Any] | None, audit: Mapping[str, Any] | None = None
) -> list[str]:
    """List the weaknesses that the numbers and the audit of a release show, then those that its maker gives.

    Args:
        config: content of `config.json`.
        metrics: content of `metrics.json`, or None.
        audit: content of `audit.json`, or None.
    """
    found = [line for row in _rows_of_the_model(metrics) for line in map(_weakness, row["numbers"]) if line]
    if audit and audit["verdict"] != ["healthy"]:
        found.insert(0, f"the audit's verdict: {audit['summary']}")
    if not _rows(metrics):
        found.append("this model was not evaluated")
    if (config.get("origin") or {}).get("missing"):
        found.append(f"it was converted without {config['origin']['missing']}: the one here has random weights")
    found += (config.get("about") or {}).get("weaknesses") or []
    untested = "" if audit else "; they are few, and memorisation was not tested"
    return found or [f"none that its numbers show{untested}"]


def duration(hours: float) -> str:
    """Format a duration: in hours, or in minutes below one hour."""
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def shown(value: Any) -> str:
    """Format a number as cards show it; None is an empty text."""
    return "" if value is None else f"{value:.5g}"


def _weakness(number: Mapping[str, Any]) -> str:
    """Name the weakness that a number shows, or return an empty text."""
    value, floor = number["value"], number["floor"]
    if value is None:
        return ""
    if number["key"] in MEANING_OF_LOW and floor and value < LOW_COVERAGE * floor:
        meaning = MEANING_OF_LOW[number["key"]]
        return f"{number['label']} is {shown(value)}, real images reach {shown(floor)}: {meaning}"
    if number["key"] == "classes_missing" and value:
        return f"{shown(value)} classes are never drawn"
    return ""


def _initial_weights(pretrained: Mapping[str, Any]) -> str:
    """Describe the weights that a run was started from."""
    anew = len(pretrained["anew"])
    total = anew + pretrained["taken"]
    exception = f", except for {anew} of {total} tensors, which were initialised at random" if anew else ""
    return f"the weights of {pretrained['from']} (sha256 {pretrained['sha256'][:16]}){exception}"


def _cell(value: Any) -> str:
    """Escape a text for a cell of a Markdown table."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def _rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the rows of all evaluations: one for each truncation and for each member of a mixture."""
    return [row for evaluation in (metrics or {}).get("evaluations", []) for row in evaluation["rows"]]


def _rows_of_the_model(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the rows without truncation that are not of a single member of a mixture."""
    return [row for row in _rows(metrics) if row["truncation"] is None and row.get("component") is None]


def _evaluation(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Format one evaluation for the template."""
    rows = [
        {"component": row.get("component"), "numbers": _cells(row), "protocol": _protocol(row)}
        for row in evaluation["rows"]
    ]
    return {"rows": rows, "notes": evaluation.get("notes", [])}


def _cells(row: Mapping[str, Any]) -> list[list[str]]:
    """Format the numbers of a row: label, value, interval, value of real images, direction, and both sample sizes."""
    table = []
    for number in row["numbers"]:
        interval = "" if number["low"] is None else f"{shown(number['low'])} to {shown(number['high'])}"
        floor, sizes = shown(number["floor"]), number["protocol"]
        if floor and number.get("floor_n") and number["floor_n"][0] != sizes["n_real"]:
            floor += f" (at {number['floor_n'][0]})"
        better = "higher" if number["higher_is_better"] else "lower"
        table.append(
            [number["label"], shown(number["value"]), interval, floor, better, sizes["n_fake"], sizes["n_real"]]
        )
    if row.get("cas"):
        cas = row["cas"]
        interval = f"{shown(cas['low'])} to {shown(cas['high'])}"
        table.append(
            ["classification accuracy score", shown(cas["score"]), interval, shown(cas["reference"]), "higher", "", ""]
        )
    return table


def _protocol(row: Mapping[str, Any]) -> list[str]:
    """List the settings that the numbers of a row have in common, and the metrics."""
    settings: dict[str, Any] = {}
    metrics: list[Any] = []
    for number in row["numbers"]:
        settings |= number["protocol"]
        if number["protocol"].get("metric") not in metrics:
            metrics.append(number["protocol"].get("metric"))
    left_out = ("metric", "n_real", "n_fake")
    shared = [f"{key}: {value}" for key, value in settings.items() if key not in left_out and value is not None]
    return [*shared, "metrics: " + ", ".join(map(str, metrics))]
