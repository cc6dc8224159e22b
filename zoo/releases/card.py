"""The model card: `README.md` of a release, written from the other files of the release.

It can claim nothing that they do not contain: `zoo.hub.verify` writes it again and compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import ReleaseError, did_you_mean, first_line
from zoo.releases.card_wording import CURRENT
from zoo.releases.file_names import GRID
from zoo.releases.release_format import user_class_paths
from zoo.releases.weakness import LOW_COVERAGE, MEANING_OF_LOW
from zoo.rendering.templating import render

TEMPLATE = Path(__file__).with_name("templates") / "card.md"
LICENCE = "apache-2.0"  # of the weights, unless `about` has another
CLASSES_SHOWN = 100  # names of classes on a card
NOT_RECORDED = "not recorded"
TASK = "unconditional-image-generation"  # the closest task of the hub, which has none for classes as the only condition

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


def card(
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None,
    audit: Mapping[str, Any] | None = None,
    wording: Mapping[str, str] = CURRENT,
) -> str:
    """Write the text of a model card.

    Args:
        config: content of `config.json`. `about` may have `name`, `where` (the argument of `from_pretrained`; the name
            if left out), `summary`, `licence` (of the weights), `data` (`name`, `licence`, `source`, `train`,
            `held_out`, `digest`), `training` (`recipe`, `images`, `hours`, `machine`, `precision`, `packages`,
            `commit`, `checkpoint`) and `weaknesses` (a list).
        metrics: content of `metrics.json`: results of `zoo.evaluate` in a list under `evaluations`; None without it.
        audit: content of `audit.json`, the report of `zoo.audit`; None without it.
        wording: sentences that differ between versions, see `zoo/releases/card_wording.py`.
    """
    about = config.get("about") or {}
    name, training = str(about.get("name") or config["class"]), about.get("training") or {}
    return render(
        TEMPLATE,
        name=name,
        front_matter=front_matter(config, metrics, name, wording),
        config={**config, "origin": config.get("origin")},
        about={**dict.fromkeys(ABOUT), **about},
        images=config["images"],
        class_names=_class_names(config.get("class_names") or []),
        own_classes=[path.rpartition(".")[::2] for path in user_class_paths(config)],
        data=about.get("data") and {**dict.fromkeys(DATA_FACTS), **about["data"]},
        training={**dict.fromkeys(TRAINING_FACTS), **training},
        initial_weights=_initial_weights(training.get("pretrained"), wording),
        has_numbers=bool(_rows(metrics)),
        evaluations=[_evaluation(evaluation) for evaluation in (metrics or {}).get("evaluations", [])],
        audit=audit,
        audit_settings=_audit_settings(audit),
        weaknesses=weaknesses(config, metrics, audit, wording),
        wording=wording,
        cell=_cell,
        duration=duration,
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


def front_matter(
    config: Mapping[str, Any], metrics: Mapping[str, Any] | None, name: str, wording: Mapping[str, str] = CURRENT
) -> str:
    """Write the front matter that the hub reads: licence, library, task, tags, picture, numbers as `model-index`."""
    about = config.get("about") or {}
    matter: dict[str, Any] = {
        "license": about.get("licence") or LICENCE,
        "library_name": "gan-zoo",
        "pipeline_tag": TASK,
        "tags": ["gan", config["class"].rpartition(".")[2].lower(), "image-generation", "pytorch-lightning"],
    }
    if wording["widget"]:
        text = wording["widget"].format(seed=config["grid"]["seed"])
        matter["widget"] = [{"text": text, "output": {"url": GRID}}]
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
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None,
    audit: Mapping[str, Any] | None = None,
    wording: Mapping[str, str] = CURRENT,
) -> list[str]:
    """List the weaknesses that the numbers and the audit of a release show, then those that its maker gives.

    Args:
        config: content of `config.json`.
        metrics: content of `metrics.json`, or None.
        audit: content of `audit.json`, or None.
        wording: sentences that differ between versions.
    """
    lines = [line for row in _rows_of_the_model(metrics) for line in map(_weakness, row["numbers"]) if line]
    if audit and audit["verdict"] != ["healthy"]:
        lines.insert(0, f"the audit's verdict: {audit['summary']}")
    if not _rows(metrics):
        lines.append(wording["not_evaluated"])
    if (config.get("origin") or {}).get("missing"):
        lines.append(wording["converted_without"].format(network=config["origin"]["missing"]))
    lines += (config.get("about") or {}).get("weaknesses") or []
    return lines or [f"none that its numbers show{'' if audit else wording['not_audited']}"]


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


def _initial_weights(pretrained: Mapping[str, Any] | None, wording: Mapping[str, str]) -> str:
    """Describe the weights that a run was started from; an empty text for random weights."""
    if not pretrained:
        return ""
    anew = len(pretrained["anew"])
    exception = wording["initialised"].format(anew=anew, total=anew + pretrained["taken"]) if anew else ""
    return f"the weights of {pretrained['from']} (sha256 {pretrained['sha256'][:16]}){exception}"


def _audit_settings(audit: Mapping[str, Any] | None) -> str:
    """List budget, seed, extractor and numbers of images of an audit; an empty text without one."""
    if not audit:
        return ""
    about, used = audit["about"], audit["about"]["used"]
    return (
        f"budget {about['budget']}, seed {about['seed']}, extractor {about['extractor']['name']}, "
        f"{used.get('generated', 0):,} generated, {used['train']:,} training and {used['held_out']:,} held-out images"
    )


def _class_names(names: list[str]) -> str:
    """List the classes with their numbers; of many, the first."""
    named = [f"{i} {name}" for i, name in enumerate(names[:CLASSES_SHOWN])]
    more = [f"and {len(names) - CLASSES_SHOWN:,} more, in config.json"] if len(names) > CLASSES_SHOWN else []
    return " ".join(", ".join([*named, *more]).split())


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
        {"component": row.get("component"), "table": _table(row), "protocol": _protocol(row)}
        for row in evaluation["rows"]
    ]
    return {"rows": rows, "notes": evaluation.get("notes", [])}


def _table(row: Mapping[str, Any]) -> list[str]:
    """Format the numbers of a row as table rows: label, value, interval, real images, direction, both sample sizes."""
    lines = []
    for number in row["numbers"]:
        interval = "" if number["low"] is None else f"{shown(number['low'])} to {shown(number['high'])}"
        floor, sizes = shown(number["floor"]), number["protocol"]
        if floor and number.get("floor_n") and number["floor_n"][0] != sizes["n_real"]:
            floor += f" (at {number['floor_n'][0]})"
        better = "higher" if number["higher_is_better"] else "lower"
        lines.append(
            f"| {number['label']} | {shown(number['value'])} | {interval} | {floor} | {better} | "
            f"{sizes['n_fake']} | {sizes['n_real']} |"
        )
    if row.get("cas"):
        cas = row["cas"]
        lines.append(
            f"| classification accuracy score | {shown(cas['score'])} | {shown(cas['low'])} to "
            f"{shown(cas['high'])} | {shown(cas['reference'])} | higher | | |"
        )
    return lines


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
