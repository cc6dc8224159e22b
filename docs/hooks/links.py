"""Hook of the documentation site: pages that lie elsewhere in the repository, and links that lead there.

The pages are written to be read in the repository, too, so their links are relative to files there. On the site, a link
to an included page leads to its copy, a link to a picture to the picture, and a link to any other file to a page with
its text. Nothing is copied by hand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
INCLUDED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "checkpoints/README.md": "releases.md",
    "examples/README.md": "examples.md",
    "studies/README.md": "studies.md",
}
"""Pages outside docs/ that are part of the site: their paths in the repository and on the site."""
ELSEWHERE = {"README.md": "index.md", "LICENSE": "index.md"}
"""Files whose content the site has on another page."""
PICTURES = (".png", ".gif", ".svg", ".jpg")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".sh": "bash", ".toml": "toml", "": "bash"}
PARTS = re.compile(r"(^ *```.*?^ *```[^\n]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)  # code, in which nothing is a link
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE_IN_LIST = re.compile(r"^  (?=```).*?^  ```$", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the included pages, and every file of the repository that a page links to."""
    for path, name in INCLUDED.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    for file in list(files.documentation_pages()):
        for target in linked(file.content_string, place_of(file.src_uri)):
            name = name_on_site(target)
            if files.get_file_from_path(name) is None and not is_page_or_picture_of_docs(target):
                files.append(_generated(config, target, name))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite links that lead to another place on the site than in the repository."""
    here = page.file.src_uri
    # Python's Markdown wants what is inside an item of a list indented by four spaces; GitHub is content with two.
    markdown = FENCE_IN_LIST.sub(lambda block: re.sub("^", "  ", block[0], flags=re.MULTILINE), markdown)

    def rewritten(link: re.Match[str]) -> str:
        target, anchor = resolved(link[2], place_of(here))
        if target is None:
            return link[0]
        address = posixpath.relpath(name_on_site(target), posixpath.dirname(here) or ".")
        return f"{link[1]}{address}{anchor}{link[3]}"

    parts = PARTS.split(markdown)
    return "".join(part if i % 2 else LINK.sub(rewritten, part) for i, part in enumerate(parts))


def place_of(name: str) -> str:
    """Return the path in the repository of a page of the site."""
    return {site: path for path, site in INCLUDED.items()}.get(name, f"docs/{name}")


def name_on_site(path: str) -> str:
    """Return the path on the site, before it is rendered, of a file of the repository."""
    if path in INCLUDED or path in ELSEWHERE:
        return {**INCLUDED, **ELSEWHERE}[path]
    if is_page_or_picture_of_docs(path):
        return path.removeprefix("docs/")
    if path.endswith(PICTURES):
        return f"pictures/{path}"
    return f"source/{path}.md"


def is_page_or_picture_of_docs(path: str) -> bool:
    """Return whether a file of the repository is part of the site because it lies in docs/."""
    return path.startswith("docs/") and not path.endswith(".py")


def linked(markdown: str, place: str) -> Iterator[str]:
    """Yield the paths in the repository that a page links to."""
    for i, part in enumerate(PARTS.split(markdown)):
        for link in [] if i % 2 else LINK.finditer(part):
            target, _ = resolved(link[2], place)
            if target is not None:
                yield target


def resolved(link: str, place: str) -> tuple[str | None, str]:
    """Return the path in the repository that a link leads to, None outside or on the same page, and the anchor."""
    path, mark, anchor = link.partition("#")
    if not path or re.match(r"\w+:", path):
        return None, ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    if (ROOT / target).is_dir():
        target = f"{target}/README.md"
    return (target if (ROOT / target).is_file() else None), mark + anchor


def _generated(config: Any, path: str, name: str) -> File:
    """Return the file of the site for a picture, or a page with the text of any other file."""
    if path.endswith(PICTURES):
        return File.generated(config, name, abs_src_path=str(ROOT / path))
    text = (ROOT / path).read_text(encoding="utf-8")
    language = LANGUAGES.get(Path(path).suffix, "text")
    content = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n````{language}\n{text.rstrip()}\n````\n"
    return File.generated(config, name, content=content)
