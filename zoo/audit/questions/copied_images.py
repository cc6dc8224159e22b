"""The part of the question about copying that looks at single images: which image copies which, and how many do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Figure, Table
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics import copies, registration
from zoo.audit.statistics.candidates import WINDOW, Joined
from zoo.audit.statistics.changes import changes_for
from zoo.audit.statistics.copies import FALSE_ALARMS, Calibration, Closest
from zoo.audit.statistics.kinds_of_change import change_between, registered_image
from zoo.audit.statistics.memory import RealNeighbours
from zoo.audit.statistics.registration import Registered
from zoo.audit.statistics.significance import wilson_percent
from zoo.data.pool import to_float
from zoo.io.progress import step
from zoo.rendering.pictures import to_uint8

SPACE = "registered pixels"
PLANTED = 40  # copies of each kind that are planted to measure the power
SHOWN = 16  # copies in the picture
HEADER = (
    "generated",
    "training",
    "change",
    "p_value",
    "expected_false_share",
    "distance",
    "mirrored",
    "shift_x",
    "shift_y",
    "scale",
    "rotation",
    "contrast",
    "brightness",
    "residual",
)


@dataclass(frozen=True)
class Search:
    """Generated, held-out and planted images, each registered to the real images that it is most like.

    Args:
        generated: result for the generated images.
        held_out: result for the held-out images; none is registered to itself.
        planted: result for the planted copies.
        truth: index of the training image (P,) that each planted copy is of.
        kinds: name of the kind of each planted copy, in blocks of the same size.
    """

    generated: Registered
    held_out: Registered
    planted: Registered
    truth: Tensor
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class PlantedImages:
    """Images in memory that are registered.

    Args:
        pixels: images (N, C, H, W), uint8.
    """

    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, chosen: Tensor) -> Tensor:
        """Return images (n, C, H, W), uint8."""
        return self.pixels[chosen]


def can_register(evidence: Evidence) -> bool:
    """Return whether the images are large enough to be registered."""
    return min(evidence.train.shape[-2:]) >= registration.SMALLEST


def search(evidence: Evidence) -> Search:
    """Register all images, once for an audit."""
    return evidence.once(SPACE, lambda: _search(evidence))


def _search(evidence: Evidence) -> Search:
    """Register generated, held-out and planted images to the training and held-out images."""
    train, held_out, generated = evidence.train, evidence.held_out, evidence.generated
    planted, truth, kinds = _planted(evidence)
    queries = Joined((generated, held_out, PlantedImages(planted)))
    own = torch.full((len(queries),), -1)
    own[len(generated) : len(generated) + len(held_out)] = torch.arange(len(held_out)) + len(train)
    text = f"copies that moved, among {len(train) + len(held_out):,} real images"
    evidence.report(text)
    with step(text, len(train) + len(held_out)) as advance:
        found = registration.register(
            queries, Joined((train, held_out)), own, evidence.seed_of("registration") % 2**31, advance
        )
    sizes = [len(generated), len(held_out), len(planted)]
    parts = [Registered(*values) for values in zip(*(torch.split(value, sizes) for value in found))]
    return Search(parts[0], parts[1], parts[2], truth, kinds)


def _planted(evidence: Evidence) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Return planted copies (P, C, H, W) of training images, the indices of these, and the kind of each copy."""
    rng = evidence.rng("planted copies")
    images, truth, kinds = [], [], []
    for name, change in changes_for(evidence.train.shape[0]).items():
        chosen = torch.randperm(len(evidence.train), generator=rng)[:PLANTED]
        images.append(to_uint8(change(evidence.train.images(chosen), rng)))
        truth.append(chosen)
        kinds += [name] * len(chosen)
    return torch.cat(images), torch.cat(truth), tuple(kinds)


def registered_neighbours(evidence: Evidence, part: str) -> RealNeighbours:
    """Return the real images nearest to generated or held-out images in registered pixels."""
    found = getattr(search(evidence), part)
    return copies.registered_neighbours(found, len(evidence.train), len(evidence.held_out))


def add_rate(finding: Builder, evidence: Evidence) -> None:
    """Add the share of generated images that are closer to a real image, moved or not, than 99 % of held-out ones.

    Args:
        finding: the finding to add to.
        evidence: the images.
    """
    found = search(evidence)
    generated, held_out = (registered_neighbours(evidence, part) for part in ("generated", "held_out"))
    first = found.held_out
    calibration = copies.calibrate(Closest(first.distances[:, 0], held_out.ratios, first.indices[:, 0], first.motions))
    if calibration.threshold == -torch.inf:
        return
    close = generated.ratios < calibration.threshold
    exchange = generated.exchange(close)
    finding.add_statistic(
        f"copying rate at {percent(FALSE_ALARMS, 1)} in {SPACE}",
        wilson_percent(int(close.sum()), len(close)),
        null=wilson_percent(calibration.false_alarms, calibration.images),
        n=len(close),
        unit="%",
        description=f"generated images unusually close to one real image, moved or not; {exchange.train_winners:,} "
        f"of these {exchange.winners:,} real images are training images ({percent(exchange.expected, 1)} expected by "
        "chance)",
    )


def list_copies(finding: Builder, evidence: Evidence) -> str:
    """Add the share of copies, the table of the copies and their picture; return what they say as a sentence."""
    found = search(evidence)
    generated, held_out, planted = (
        copies.closest_training_images(part, len(evidence.train))
        for part in (found.generated, found.held_out, found.planted)
    )
    calibration = copies.calibrate(held_out)
    if calibration.threshold == -torch.inf:
        return ""
    listed = (generated.ratios < calibration.threshold).nonzero()[:, 0]
    listed = listed[generated.ratios[listed].argsort(stable=True)]
    power = _power(found, planted, calibration)
    value, low, high = copies.share_of_copies(len(listed), len(generated.ratios), calibration, power)
    common = percent(1 - FALSE_ALARMS)
    weakest = min(power, key=lambda kind: power[kind][0] / power[kind][1])
    hits, n = power[weakest]
    finding.add_statistic(
        "share of copies",
        (100 * value, 100 * low, 100 * high),
        null=0.0,
        n=len(generated.ratios),
        unit="%",
        description=f"copies of training images, moved or not: {len(listed):,} generated images are closer to one than "
        f"{common} of the held-out images are, corrected for {calibration.false_alarms:,} of {calibration.images:,} "
        f"held-out images that are as close, and for copies that are missed (of planted ones, {hits} of {n} that were "
        f"{weakest} are found)",
    )
    finding.add_protocol(_protocol(calibration, power))
    finding.add_table(_table(evidence, generated, listed, calibration))
    finding.add_figure(_picture(evidence, generated, listed))
    return (
        f"copies.csv lists the {len(listed):,} generated images that are closer to a training image, moved or not, "
        f"than {common} of the held-out images are; an estimated {percent(value, 1)} of all ({percent(low, 1)} to "
        f"{percent(high, 1)}) are copies."
    )


def _power(found: Search, planted: Closest, calibration: Calibration) -> dict[str, tuple[int, int]]:
    """Return, for each kind of planted copies, how many were listed with the right training image, and of how many."""
    right = (planted.ratios < calibration.threshold) & (planted.indices == found.truth)
    counted = {kind: (0, 0) for kind in dict.fromkeys(found.kinds)}
    for kind, hit in zip(found.kinds, right.tolist()):
        hits, n = counted[kind]
        counted[kind] = hits + hit, n + 1
    return counted


def _protocol(calibration: Calibration, power: dict[str, tuple[int, int]]) -> dict[str, object]:
    """Return how the copies were found, for the protocol."""
    return {
        SPACE: f"a window of {percent(WINDOW)} of the side, at {registration.FINE} px or less, over "
        "shifts, scales of 0.7 to 1, rotations and the mirror; brightness and contrast do not count",
        "held-out images that are near copies of a training image": calibration.near_copies,
        "listed as copies": f"p at most {FALSE_ALARMS:g}, by rank among {len(calibration.null):,} held-out images",
        "planted copies found": {kind: f"{hits} of {n}" for kind, (hits, n) in power.items()},
    }


def _table(evidence: Evidence, generated: Closest, listed: Tensor, calibration: Calibration) -> Table:
    """Return the table of the listed images, closest first."""
    p = calibration.p_values(generated.ratios[listed])
    ranks = torch.arange(1, len(listed) + 1)
    false = (p * len(generated.ratios) / ranks).clamp(max=1).flip(0).cummin(0).values.flip(0) if len(listed) else p
    side = min(evidence.train.shape[-2:])
    rows = []
    for i, p_value, share in zip(listed.tolist(), p.tolist(), false.tolist()):
        other = int(generated.indices[i])
        image, training = evidence.generated.rows(torch.tensor([i]))[0], evidence.train.rows(torch.tensor([other]))[0]
        change = change_between(image, training, generated.motions[i])
        rows.append(
            (
                evidence.generated.name_of(i),
                evidence.train.name_of(other),
                change.text(side),
                f"{p_value:.3g}",
                f"{share:.3g}",
                f"{float(generated.distances[i]):.4f}",
                int(change.mirrored),
                f"{change.x:.1f}",
                f"{change.y:.1f}",
                f"{change.scale:.3f}",
                f"{change.degrees:.1f}",
                f"{change.contrast:.2f}",
                f"{change.brightness:.1f}",
                f"{change.residual:.1f}",
            )
        )
    return Table("copies", HEADER, tuple(rows))


def _picture(evidence: Evidence, generated: Closest, listed: Tensor) -> Figure | None:
    """Draw the closest listed images, each training image once; None if there are none."""
    chosen: dict[int, int] = {}
    for i in listed.tolist():
        chosen.setdefault(int(generated.indices[i]), i)
        if len(chosen) == SHOWN:
            break
    if not chosen:
        return None
    training = evidence.train.rows(torch.tensor(list(chosen)))
    moved = [registered_image(image, generated.motions[i])[0] for image, i in zip(training, chosen.values())]
    return figures.stacks(
        (evidence.generated.images(torch.tensor(list(chosen.values()))), to_float(training), torch.stack(moved)),
        "copies",
        f"The generated images that are closest to a training image, moved or not, of those that are closer than "
        f"{percent(1 - FALSE_ALARMS)} of the held-out images; below each of them that training image, and the same "
        "registered: moved to where the generated image shows it. Each training image is shown once.",
        ("generated", "training", "registered"),
    )
