"""The report on a folder of images, as training will see them: the work of `python -m zoo.data`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.config.class_names import find_class
from zoo.config.settings import check_settings
from zoo.config.values import as_argument, flattened
from zoo.data.description import class_sizes
from zoo.data.group_patterns import Grouping, suggest_grouping
from zoo.data.image_files import ImageFiles
from zoo.data.near_duplicates import NearDuplicates, near_duplicates
from zoo.data.survey import Survey, fitting_resolution, survey
from zoo.errors import UserError, shell_word
from zoo.io.files import atomic_write, printable, with_home
from zoo.rendering import pictures
from zoo.rendering.templating import render
from zoo.runs.data_pictures import crops, pairs, png

TEMPLATE = Path(__file__).with_name("templates") / "data.html"
SHOWN, COLUMNS = 96, 12
"""Training images in the montage, and how many stand in a row."""
MOST_CLASSES = 100
"""Rows of the table of classes."""
SMALL_CLASS = 100
"""Training images below which a class is said to be small."""
LARGEST_OF_REPORT = 128
"""Resolution of the report in pixels, unless another is given, where the images are larger."""


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Args:
        source: the images, decoded and split.
        found: facts about their files.
        duplicates: the near-duplicates.
        names: paths (N,) of the decoded images below the root.
        grouping: expression that keeps near-duplicates together, if one was found.
        settings: settings of the source that were given.
    """

    source: ImageFiles
    found: Survey
    duplicates: NearDuplicates
    names: list[str]
    grouping: Grouping | None
    settings: Mapping[str, Any]

    @property
    def leaking(self) -> NDArray[np.int64]:
        """The held-out images with a near-duplicate in training."""
        return self.duplicates.across(self.source.held_out.indices)


def main(root: str, resolution: int = 0, out: str = "data_report.html", data: dict[str, Any] | None = None) -> int:
    """Report on a folder of images: what training will see, and what is likely a mistake.

    Writes one HTML page: a montage of training images as the model gets them (cut, resized, on their background),
    sizes, classes and their balance, what is left out and why, and near-duplicates that lie on both sides of the split,
    with the `data.group=` that keeps them together where the names of the files allow one. Pairs of near-duplicates
    are listed in a CSV file beside it.

    Args:
        root: the folder, or a .zip file.
        resolution: height and width in pixels at which images are shown and compared; 0 for the largest power of two up
            to 128 to which at most a tenth of the images are enlarged.
        out: path of the page.
        data: settings of the source, such as data.match= data.group= data.background=black data.held_out=0.2
            data.labels=true, as `python -m zoo.fit` takes them.

    Returns:
        The exit code.

    Examples:
        python -m zoo.data root=photos
        python -m zoo.data root=photos resolution=64 data.background=black out=photos.html
    """
    path = with_home(out)
    if path.is_dir():
        raise UserError(f"out: {path} is a folder. Give the path of the page, such as {path / 'data_report.html'}")
    report = read(root, resolution, dict(data or {}))
    try:
        _write(report, path)
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}. Give another path") from error
    return 0


def _write(report: Report, path: Path) -> None:
    """Write the page and the list of near-duplicates beside it, and print what was found."""
    listed = path.with_name(f"{path.stem}_near_duplicates.csv")
    with atomic_write(path) as scratch:
        scratch.write_text(page(report, listed.name), encoding="utf-8")
    print(report.source.describe())
    print(duplicates_text(report))
    if len(report.duplicates):
        with atomic_write(listed) as scratch:
            scratch.write_text(_csv(report), encoding="utf-8")
        print(f"near-duplicates: {listed}")
    else:
        listed.unlink(missing_ok=True)  # of an earlier report, whose copies are gone
    print(f"report: {path}")


def read(root: str, resolution: int, settings: dict[str, Any]) -> Report:
    """Read, decode and compare the images of a folder or an archive.

    Args:
        root: the folder or the archive.
        resolution: height and width in pixels; 0 to choose.
        settings: settings of the source.

    Raises:
        UserError: if there are no images, or a setting is refused.
    """
    source = _built(root, resolution or 32, {"channels": 3, **settings})
    found = survey(source)
    chosen = resolution or fitting_resolution(found, LARGEST_OF_REPORT)
    source = _built(root, chosen, {"channels": 1 if found.is_grey else 3, **settings})
    source.prepare_data()
    source.setup()
    names = source.names()
    duplicates = near_duplicates(source.pool.images)
    leaking = len(duplicates.across(source.held_out.indices))
    grouping = None
    if leaking:
        grouping = suggest_grouping(names, duplicates, len(source.held_out), leaking, source.split_seed)
    return Report(source, found, duplicates, names, grouping, settings)


def _built(root: str, resolution: int, settings: dict[str, Any]) -> ImageFiles:
    """Build a source of the images, which leaves out files that cannot be decoded.

    Raises:
        UserError: if the source is no folder and no archive, or refuses a setting.
    """
    path = with_home(root)
    own = "Zip" if path.is_file() and path.suffix.lower() == ".zip" else "Folder"
    given = {key: value for key, value in settings.items() if key != "class"}
    target = find_class(str(settings.get("class", own)), object)
    if not (isinstance(target, type) and issubclass(target, ImageFiles)):
        raise UserError(f"data.class: {settings['class']} is no source of image files; Folder and Zip are")
    if repeated := {"root", "resolution"} & set(given):
        name = min(repeated)
        raise UserError(f"data.{name}: the report takes it as {name}=, without data.")
    values, faults = check_settings(
        target, {"batch_size": 1, "on_corrupt": "skip", **given, "root": root, "resolution": resolution}, "data."
    )
    if faults:
        raise UserError("; ".join(faults))
    try:
        source: ImageFiles = target(**values)
    except ValueError as error:
        raise UserError(f"data: {error}") from error
    return source


# --- texts -----------------------------------------------------------------------------------------------------------


def duplicates_text(report: Report) -> str:
    """Return what was found of near-duplicates and what to give against a leak, in a few sentences."""
    duplicates, leaking, held_out = report.duplicates, len(report.leaking), len(report.source.held_out)
    scope = "" if duplicates.compared == duplicates.images else f" among {duplicates.compared:,} drawn at random"
    if not len(duplicates):
        return f"no near-duplicates were found{scope}"
    sizes = np.bincount(duplicates.clusters())
    text = (
        f"{int(sizes[sizes > 1].sum()):,} images have a near-duplicate{scope}; {leaking:,} of {held_out:,} held-out "
        "images have one in training"
    )
    if report.source.group is not None:
        text += f" although data.group={report.source.group.pattern!r} is set" if leaking else ""
    if report.grouping is not None:
        text += (
            f". With {setting('data.group', report.grouping.pattern)} it would be {report.grouping.left:,} of "
            f"{report.grouping.held_out:,} ({report.grouping.groups:,} groups, of at most {report.grouping.largest:,})"
        )
    elif leaking:
        text += ". The names of the files do not tell which belong together: remove the copies listed"
    return text


def setting(name: str, value: str) -> str:
    """Return a setting as a shell takes it."""
    return f"{name}={shell_word(value)}"


def command(report: Report) -> str:
    """Return the command that trains on the images, with the settings of the report."""
    source = {"root": str(report.source.root)}
    if type(report.source).__name__ != "Folder":
        source["class"] = type(report.source).__name__
    group = {} if report.grouping is None else {"group": report.grouping.pattern}
    given = flattened({**source, **report.settings, **group}, "data")
    words = [setting(name, as_argument(value)) for name, value in given.items()]
    return " ".join(["python -m zoo.fit recipe=photos", *words])


def remedies(report: Report) -> list[list[Any]]:
    """Return a row for each reason for which files are left out: number, reason, what to do."""
    rows = []
    left_out = dict(report.source.pool.left_out) | dict(report.found.left_out)
    for reason, count in sorted(left_out.items(), key=lambda item: -item[1]):
        if "decoded" in reason or "unreadable" in reason:
            remedy = "repair or remove them; data.on_corrupt=skip leaves them out"
        elif reason.startswith(".") or reason == "without an ending":
            remedy = "not among the endings that are read; convert them if they are images"
        elif reason == "hidden":
            remedy = "names that begin with a dot are passed over"
        else:
            remedy = ""
        rows.append([count, reason, remedy])
    return rows


# --- the page --------------------------------------------------------------------------------------------------------


def page(report: Report, listed: str) -> str:
    """Return the page.

    Args:
        report: what it shows.
        listed: name of the file of near-duplicates.
    """
    source, found = report.source, report.found
    count = min(SHOWN, len(source.train))
    return render(
        TEMPLATE,
        title=f"{source.root.resolve().name}: {len(source.train) + len(source.held_out):,} images",
        lead=source.describe(),
        command=command(report),
        notes=[note[0].upper() + note[1:] for note in (*source.notes(), *_notes(report))],
        montage=png(pictures.grid(source.preview(count), min(COLUMNS, count))),
        montage_text=_montage_text(source, found, count),
        sizes=_sizes(found),
        bins=_bins(found.sides),
        resolution=source.resolution,
        enlarged=int((found.sides < source.resolution).sum()),
        long_share=found.long_share,
        crops=png(crops(source, found)) if found.long_share else None,
        classes=_classes(report),
        duplicates=duplicates_text(report),
        pairs=png(pairs(source, report.duplicates, report.leaking)) if len(report.duplicates) else None,
        listed=listed,
        left_out=remedies(report),
        unreadable=_unreadable(report),
    )


def _montage_text(source: ImageFiles, found: Survey, count: int) -> str:
    parts = [f"{count} training images at {source.resolution} px, drawn at random: the largest centred square, resized"]
    if found.transparent:
        parts.append(f"transparent parts on {source.rendering.background}")
    if source.flip:
        parts.append("some of them mirrored")
    return ", ".join(parts)


def _notes(report: Report) -> list[str]:
    """Return notes about what is likely a mistake, or good to know before training."""
    found, source = report.found, report.source
    notes = []
    if found.is_grey and source.channels == 3:
        notes.append("all images looked at are grey; model.channels=1 data.channels=1 trains on one channel")
    if found.transparent:
        notes.append(
            f"{found.transparent:,} files have transparency, which lies on {source.rendering.background}; "
            "data.background= takes another colour"
        )
    if found.long_share > 0.05:
        notes.append(
            f"the square cuts off more than a quarter of each of {found.long_share:.0%} of the images; cut these "
            "yourself if their subject is not in the middle"
        )
    if (below := found.share_below(source.resolution)) > 0.1:
        notes.append(
            f"{below:.0%} of the images are smaller than {source.resolution} px and are enlarged, which blurs them"
        )
    if len(source.train) < 500:
        notes.append(
            f"{len(source.train):,} training images are few: a discriminator learns them by heart, and samples "
            "repeat them"
        )
    return notes


def _sizes(found: Survey) -> list[list[Any]]:
    """Return rows about the sizes: what, smallest, tenth, median, ninetieth percentile, largest."""
    quantiles = (0, 0.1, 0.5, 0.9, 1)
    sides = [int(value) for value in np.quantile(found.sides, quantiles)]
    ratios = [round(float(value), 2) for value in np.quantile(found.ratios, quantiles)]
    return [["shorter side, px", *sides], ["longer over shorter side", *ratios]]


def _bins(sides: NDArray[np.int64]) -> list[tuple[str, int, float]]:
    """Return the numbers of images by their shorter side, between powers of two: text, number, share of the largest."""
    powers = np.log2(sides).astype(int)
    counts = np.bincount(powers)
    return [
        (f"{2**i:,} to {2 ** (i + 1) - 1:,} px", int(counts[i]), float(counts[i] / counts.max()))
        for i in range(int(powers.min()), len(counts))
    ]


@dataclass(frozen=True)
class Classes:
    """The table of classes: a sentence, and name, images, images to train on and share of the largest of each."""

    text: str
    rows: list[tuple[str, int, int | None, float]]


def _classes(report: Report) -> Classes | None:
    """Return the classes that training reads, or those that the folders may be; None without any."""
    source, found = report.source, report.found
    pool = source.pool
    if pool.labels is not None:
        trained = class_sizes(pool, source.train)
        counts = np.bincount(pool.labels, minlength=len(trained))
        names: Sequence[str] = [*source.class_names, *map(str, range(len(source.class_names), len(counts)))]
        how = "read as classes (data.labels=true)"
        rows: list[tuple[str, int, int | None]] = [(name, int(n), int(t)) for name, n, t in zip(names, counts, trained)]
    elif found.class_sizes:
        how = "not read as classes; data.labels=true does"
        rows = [(name, n, None) for name, n in found.class_sizes.items()]
    else:
        return None
    sizes = [n for _, n, _ in rows]
    small = sum(n < SMALL_CLASS for n in sizes)
    text = f"{len(rows):,} subfolders, {how}. The largest has {max(sizes):,} images, the smallest {min(sizes):,}"
    text += f"; {small:,} have fewer than {SMALL_CLASS}, too few to learn what they look like" if small else ""
    text += f". The {MOST_CLASSES} largest:" if len(rows) > MOST_CLASSES else "."
    if len(rows) > MOST_CLASSES:
        rows = sorted(rows, key=lambda row: -row[1])[:MOST_CLASSES]
    return Classes(text, [(name, n, t, n / max(sizes)) for name, n, t in rows])


def _unreadable(report: Report) -> list[str]:
    """Return name and reason of files that cannot be read, and names of those that cannot be decoded."""
    pool = report.source.pool
    lost: list[str] = []
    if pool.kept is not None and len(report.names) < len(report.found.names):
        kept, known = set(report.names), report.found.unreadable
        gone = [name for name in report.found.names if name not in kept]
        lost = [f"{name}: damaged within" for name in gone if not any(each.startswith(f"{name}: ") for each in known)]
    return [*report.found.unreadable, *lost][:50]


def _csv(report: Report) -> str:
    """Return the pairs of near-duplicates, the likest first: both paths, likeness, whether the split parts them."""
    held_out = set(report.source.held_out.indices.tolist())
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["first", "second", "likeness", "parted"])
    duplicates = report.duplicates
    for k in np.argsort(-duplicates.likeness, kind="stable"):
        i, j = int(duplicates.first[k]), int(duplicates.second[k])
        parted = "yes" if (i in held_out) != (j in held_out) else "no"
        writer.writerow([report.names[i], report.names[j], f"{duplicates.likeness[k]:.3f}", parted])
    return printable(text.getvalue())
