"""`python -m zoo.hub`: list, show, pack, verify, convert and publish releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo import hub
from zoo.audit.opening import write_release_report
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import ReleaseError, UserError, did_you_mean
from zoo.hub.converting import SOURCES
from zoo.hub.converting.tensors import read_file
from zoo.releases import references, release_format
from zoo.releases.audited import write_card
from zoo.releases.release_format import user_class_paths
from zoo.runs import packing


def list_releases() -> None:
    """Print our releases."""
    index = references.read_index()
    if not index:
        print("no release is shipped with this zoo")
    width = max(map(len, index), default=0)
    for name, entry in sorted(index.items()):
        where = "" if (references.releases_folder() / name).is_dir() else ", fetched on first use"
        size = entry.get("size", 0) / 2**20
        print(f"{name:{width}}  {entry.get('class', '')}, {size:.1f} MiB{where}  {entry.get('summary', '')}".rstrip())


def show(show: str) -> None:
    """Print the card of a release.

    Args:
        show: a name of ours, or a folder.
    """
    folder = _folder_of(show)
    if not (folder / release_format.CARD).is_file():
        known = did_you_mean(show, references.release_names())
        raise ReleaseError(f"there is no release {show!r} with a card here.{known} A folder is given by its path")
    print((folder / release_format.CARD).read_text(encoding="utf-8"), end="")


def _folder_of(release_name: str) -> Path:
    """The folder of a release of ours by its name, or a folder as it is given."""
    ours = references.releases_folder() / release_name
    return ours if release_name in references.release_names() else Path(release_name)


def pack(**settings: Any) -> None:
    """Make a release of a run; the settings are those of `zoo.runs.packing.pack`."""
    folder = packing.pack(**settings)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    own = user_class_paths(release_format.read_config(folder / release_format.CONFIG))
    verify = f"verify={folder}" + (f" cls={own[0]}" if len(own) == 1 else f" cls=[{','.join(own)}]" if own else "")
    print(f"{folder}: {size:.1f} MiB. Look at its grid.png and README.md, then: python -m zoo.hub {verify}")


def verify(verify: str, cls: str | list[str] | None = None) -> None:
    """Check everything that a release claims.

    Args:
        verify: a name of ours, or a folder.
        cls: import path of a class of the user's own.
    """
    folder = _folder_of(verify)
    for line in hub.verify(folder, cls):
        print(line)


def attach(audit: str, report: str) -> None:
    """Put an audit's report into a release.

    Args:
        audit: name of the release, or its folder.
        report: folder that `python -m zoo.audit` wrote.
    """
    folder = _folder_of(audit)
    print(f"{hub.attach(folder, report)}: the card has the audit's verdict. Read it, then verify")


def card(card: str) -> None:
    """Write the card of a release again, after an update of the library changed its wording.

    Args:
        card: name of the release, or its folder.
    """
    print(f"{write_card(_folder_of(card))}: written from the other files of the release. Read it, then verify")


def push(
    push: str, repo: str, revision: str | None = None, private: bool = False, cls: str | list[str] | None = None
) -> None:
    """Verify a release and upload it.

    Args:
        push: the release's folder.
        repo: `org/name` on the Hugging Face hub.
        revision: branch to write to.
        private: whether a repository that is made is private.
        cls: import path of a class of the user's own.
    """
    print(hub.push(push, repo, revision, private, cls))


def convert(
    convert: str | None,
    source: str,
    out: str,
    generator: str | None = None,
    discriminator: str | None = None,
    average: str | None = None,
    facts: dict[str, Any] | None = None,
    licence: str | None = None,
    dtype: str = "float32",
) -> None:
    """Make a release of weights from elsewhere.

    Args:
        convert: a file with all networks, or None where they are given one by one.
        source: what wrote it.
        out: the release's folder.
        generator: file of the generator.
        discriminator: file of the discriminator.
        average: file of the averaged generator.
        facts: what shapes cannot tell.
        licence: of the weights.
        dtype: of storage.
    """
    files = {"generator": generator, "discriminator": discriminator, "average": average}
    given = {name: read_file(path) for name, path in files.items() if path is not None}
    if (convert is None) == (not given):
        raise UserError("give one file, convert=FILE, or generator=FILE with discriminator=FILE and average=FILE")
    for name in ("source", "state_dict"):
        if name in (facts or {}):
            raise UserError(f"facts.{name} is none; the source is given as source=, tensors as files")
    model = hub.convert(given if convert is None else read_file(convert), source, **(facts or {}))
    folder = model.save_pretrained(out, dtype=dtype, about={} if licence is None else {"licence": licence})
    print(f"{folder}: a {type(model).__name__} of {model.resolution} px. Look at its grid.png")


ACTIONS: dict[str, Callable[..., None]] = {
    "show": show,
    "run": pack,
    "audit": attach,
    "page": write_release_report,
    "card": card,
    "verify": verify,
    "push": push,
    "convert": convert,
}


def main(**words: Any) -> None:
    """Placeholder; the text is below, where it can list the sources."""
    chosen = [action for word, action in ACTIONS.items() if word in words]
    if not chosen and "source" in words:  # of weights in several files; beside run=, the source of the training data
        chosen = [convert]
    if not words:
        list_releases()
    elif not chosen or len(chosen) > 1:
        raise UserError(
            f"one of {', '.join(f'{word}=' for word in ACTIONS)} says what to do; got "
            f"{' '.join(f'{word}=' for word in words)}. python -m zoo.hub --help explains"
        )
    else:
        settings = words
        if chosen[0] is convert:
            settings = {"convert": None, **words}
        target = packing.pack if chosen[0] is pack else chosen[0]
        chosen[0](**checked_arguments(target, _plain(settings)))


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in words.items() if value is not None or key == "convert"}


main.__doc__ = """List our releases, or do one thing with a release.

(nothing)                         list the releases of this zoo
show=NAME                         print a card
run=RUN out=FOLDER                pack a run (its folder or a checkpoint) into a release
    metrics=FILE,FILE             numbers of python -m zoo.evaluate; by default those in the run's folder
    licence=TEXT data=TEXT source=TEXT    of the training data, where the zoo does not know them
    summary=TEXT weaknesses=[TEXT,TEXT] hours=1.5 machine=TEXT weights_licence=apache-2.0
    dtype=float16                 or bfloat16: a file half as large, with rounded weights
audit=NAME report=FOLDER          put the report of python -m zoo.audit into a release
page=NAME out=FILE                write the report of a release's audit as an HTML page
card=NAME                         write the card again, after an update of the library changed its wording
verify=FOLDER                     digests, tensors, card, and the grid against a fresh one
push=FOLDER repo=ORG/NAME         verify, then upload to the Hugging Face hub [revision=BRANCH private=true]
    cls=my_ideas.Mine             beside verify= and push=: the class, where it is one of your own
convert=FILE source=SOURCE out=FOLDER    weights from elsewhere [facts.KEY=VALUE licence=TEXT dtype=float16]
source=SOURCE out=FOLDER generator=FILE [discriminator=FILE average=FILE]    the same from several files

sources
""" + "\n".join(f"  {name:25} {says}" for name, (_, says) in SOURCES.items())


if __name__ == "__main__":
    run_command("hub", main)
