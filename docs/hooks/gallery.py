"""Hook of the documentation site: the gallery of releases, made of the files in `checkpoints/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from playable import pages_of  # beside this file, where mkdocs looks for the imports of a hook

RELEASES = Path(__file__).resolve().parents[2] / "checkpoints"
PAGE = "gallery.md"
HEAD = """# Gallery

The first samples of seed 0 of every release, without selection: the picture of its model card, which
`python -m zoo.hub verify=NAME` draws again. Numbers and the verdict of the [audit](audit.md) are those of the card.
[Pretrained models](pretrained.md) says how releases are loaded, packed and published.
"""
BUTTONS = (
    "The button below a picture opens a page that draws further images on your device: by seed, class and truncation.\n"
)


def on_files(files: Files, config: Any) -> Files:
    """Add the page, its pictures, and the pages that draw in the browser."""
    names = sorted(path.parent.name for path in RELEASES.glob("*/config.json"))
    for name in names:
        picture = str(RELEASES / name / "grid.png")
        files.append(File.generated(config, f"gallery/{name}.png", abs_src_path=picture))
    pages = pages_of(names, RELEASES)
    for name, folder in pages.items():
        for path in sorted(folder.iterdir()):
            files.append(File.generated(config, f"gallery/{name}/{path.name}", abs_src_path=str(path)))
    sections = [section(name, name in pages) for name in names]
    files.append(File.generated(config, PAGE, content="\n".join([HEAD, *([BUTTONS] if pages else []), *sections])))
    return files


def section(name: str, playable: bool) -> str:
    """Return the part of the page about one release.

    Args:
        name: the release.
        playable: whether the site has a page that draws its images in the browser.
    """
    config = _json(RELEASES / name / "config.json")
    about, images = config["about"], config["images"]
    classes = f", {images['num_classes']} classes" if images["num_classes"] else ""
    lines = [
        f"## {name}\n",
        f"{about.get('summary', '')}\n",
        f"![Samples of {name}](gallery/{name}.png){{ loading=lazy .samples }}\n",
        *([f"[Draw in the browser](gallery/{name}/index.html){{ .md-button }}\n"] if playable else []),
        f"| | |\n|---|---|\n| model | `{config['class']}`, {images['resolution']} px{classes} |",
        f"| trained on | {about['data']['name']}, {config['images_seen']:,} images shown |",
    ]
    audit = RELEASES / name / "audit.json"
    if audit.is_file():
        lines.append(f"| audit | {_json(audit)['summary']} |")
    lines += [f"| {label} | {text} |" for label, text in numbers(RELEASES / name / "metrics.json")]
    lines.append(f"\n```bash\npython -m zoo.sample checkpoint={name} n=80 out={name}.png")
    if not playable:
        lines.append(
            f"python -m zoo.export checkpoint={name} format=html out={name}    # a page that draws in the browser"
        )
    return "\n".join([*lines, "```\n"])


def numbers(path: Path) -> list[tuple[str, str]]:
    """Return the distance and the coverage of a release as labels and texts, beside those of real images."""
    found = []
    for evaluation in _json(path)["evaluations"] if path.is_file() else []:
        for row in evaluation["rows"]:
            if row["truncation"] is None and row.get("component") is None:
                for number in row["numbers"]:
                    if number["key"] in ("fid", "coverage") and number["value"] is not None:
                        real = f"; real against real {number['floor']:.4g}" if number["floor"] is not None else ""
                        found.append((number["label"], f"{number['value']:.4g}{real}"))
    return found


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
