"""The zoo against other people's own code: their networks and their train step, turn by turn in one process.

    python benchmarks/peers.py FOLDER [rows=dcgan,biggan turns=5 cycles=1 precision=auto baseline=CHECKOUT threads=1]

FOLDER has their repositories, unpacked or cloned, each under its own name (see `ROWS`). Nothing of their code is
here, and no file of theirs is changed; what had to be worked around is in the results, under `notes`.

Before anything is timed it is checked that both networks have as many parameters as the zoo's, and with the same
weights the same outputs: the peer's weights are made random, converted, and images and scores compared in float32 and
eval mode. Then the peer's fresh weights are converted, and both train from them on random images. A cycle is all steps
of the discriminator and the generator's. The zoo trains under a plain Lightning Trainer; a peer does what its own
training function does, without its data loading and its logging to files. In a turn each program plays `cycles` times
the row's number of cycles; a ratio is the peer's processor time over the zoo's, as median and range over the turns
after the first, which warms up. Above 1 the zoo is faster.

- `as it is`: the peer's code in float32, the zoo at its default precision on this processor.
- `with autocast`: the peer's cycle under `torch.autocast("cpu", torch.bfloat16)`, the zoo as before; its cache of
  converted weights is cleared after each optimizer step, without which the generator's step would use the
  discriminator's old weights. Where the zoo's default is float32, since the processor has no bf16 instructions, there
  is no such column; `precision=bf16-mixed` asks for it.
- `both float32`: the peer's code as it is, the zoo in float32.

`baseline=CHECKOUT` is a folder with another version of this repository. Its zoo, in a second process that waits while
this one runs, plays the same cycles at the same precision; the ratio `over baseline` is its processor time over that of
today's zoo.

Settings of the zoo's model are given as `model.penalty=5`; they hold for the rows whose model has them, and for the
baseline if its models have them. Sizes (`model.width`) hold for the peers as well. A setting that makes a cycle of the
zoo one of other steps (`model.critic_steps`) is refused where the peer's stays as it is.
"""

from __future__ import annotations

import functools
import statistics
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peer_baseline import Baseline
from peer_equality import compare, converted
from peer_importing import commit_of
from peer_program import Peer, Row
from peer_r3gan import OfficialR3GAN
from peer_repositories import BigGANPyTorch, GanZooDCGAN, GanZooProGAN, LightningDCGAN, MimicryWGANGP, ProGANPyTorch
from torch import Tensor
from turns import Turns, batches_for, fit, machine, write
from variants import VARIANTS

import zoo
from zoo.config.command_line import run_command
from zoo.config.settings import check_settings, settings_of
from zoo.errors import RecipeError, UserError, did_you_mean
from zoo.training.hardware import choose_precision

WIDTH_128 = {"resolution": 32, "latent_dim": 128, "width": 128}
PROGAN: dict[str, type[Peer]] = {"pytorch_GAN_zoo": GanZooProGAN, "pro_gan_pytorch": ProGANPyTorch}
ROWS = {
    "dcgan": Row(
        "DCGAN",
        {"resolution": 32, "latent_dim": 100, "width": 64},
        64,
        {"pytorch_GAN_zoo": GanZooDCGAN, "lightning_gan_zoo": LightningDCGAN},
        cycles=4,
    ),
    # as many generated images in the generator's step as in the critic's, and no noise on real ones, as in the peer
    "wgan_gp": Row(
        "WGANGP", {**WIDTH_128, "generator_batch": 1, "dequantise": False}, 16, {"torch-mimicry": MimicryWGANGP}
    ),
    "biggan": Row(
        "BigGAN",
        {"resolution": 32, "width": 64, **VARIANTS["biggan"].settings},
        8,
        {"BigGAN-PyTorch": BigGANPyTorch},
    ),
    "progan": Row("ProGAN", {**WIDTH_128, "hold_images": 1, "fade_images": 0}, 16, PROGAN, images_seen=10_000_000),
    "progan_4x4": Row(
        "ProGAN", {**WIDTH_128, "hold_images": 10**9, "fade_images": 0}, 16, PROGAN, cycles=20, resolution=4
    ),
    # the authors' preset for FFHQ at 64 px, an eighth as wide
    "r3gan": Row(
        "R3GAN",
        {"resolution": 64, "latent_dim": 64, "widths": (96, 96, 96, 96, 48), "blocks": 2, "group_size": 16, "r1": 2.0}
        | {"r2": 2.0},
        16,
        {"R3GAN": OfficialR3GAN},
        resolution=64,
    ),
}
"""What is measured, by the name that `rows=` has for it."""


def benchmark(
    folder: str = "",
    rows: str = "all",
    turns: int = 5,
    cycles: int = 1,
    precision: str = "auto",
    baseline: str = "",
    threads: int = 1,
    model: dict[str, Any] | None = None,
    name: str = "peers_cpu",
) -> dict[str, Any]:
    """Measure the zoo against the repositories in a folder, and against another version of itself.

    Args:
        folder: folder of the repositories, each under its own name; may be given as the first word, without `folder=`.
            Empty for none, with `baseline`.
        rows: `all`, or some of `dcgan`, `wgan_gp`, `biggan`, `progan` (grown to 32 px), `progan_4x4` and `r3gan`
            (64 px), joined by commas.
        turns: turns that are counted; one more comes before, to warm up.
        cycles: factor on each row's number of cycles in a turn.
        precision: precision of the zoo: `auto` (its default on this processor), `32-true` or `bf16-mixed`.
        baseline: checkout of another version of this repository, whose zoo plays the same cycles; empty for none.
        threads: threads of every program.
        model: settings of the zoo's models, such as `model.penalty=5`.
        name: name of the file in `results/`, which is written anew after every row.

    Raises:
        UserError: for arguments that are not possible.
        RuntimeError: when a peer's networks are not the zoo's.
    """
    chosen = rows_named(rows, turns, cycles, threads, model or {})
    found = repositories(folder, chosen) if folder or not baseline else {}
    if baseline and not (Path(baseline) / "zoo" / "__init__.py").is_file():
        raise UserError(f"baseline={baseline}: there is no zoo/ in it; give a checkout of this repository")
    if precision not in (offered := ("auto", "32-true", "bf16-mixed")):
        raise UserError(f"precision={precision}: precision is one of {', '.join(offered)}")
    precision = choose_precision({"accelerator": "cpu", "precision": precision})
    torch.set_num_threads(threads)
    result: dict[str, Any] = {
        "protocol": (__doc__ or "").strip(),
        "settings": {"precision": precision, "turns": turns, "cycles": cycles, "model": dict(model or {})},
        **machine("cpu"),
        "processor_has": sorted(key for key, value in torch.cpu.get_capabilities().items() if value is True),
        "repositories": {peer: commit_of(path) for peer, path in found.items()},
        "rows": {},
    }
    if baseline:
        result["baseline"] = commit_of(Path(baseline))
    for label, row in chosen.items():
        result["rows"][label] = measured_row(row, found, precision, turns, cycles, baseline)
        result["load_average_at_the_end"] = machine("cpu")["load_average"]
        write(result, name)
        print(table({**result, "rows": {label: result["rows"][label]}}), flush=True)
    return result


# --- arguments -------------------------------------------------------------------------------------------------------


def rows_named(rows: str, turns: int, cycles: int, threads: int, model: dict[str, Any]) -> dict[str, Row]:
    """Return the rows by name, with the user's settings of the model in those whose model has them.

    Raises:
        UserError: for an unknown row, a number below 1, or a setting that no model has or that has another type.
    """
    names = list(ROWS) if rows == "all" else [name.strip() for name in str(rows).split(",")]
    for unknown in (name for name in names if name not in ROWS):
        raise UserError(f"rows={rows}: rows are all, or some of {', '.join(ROWS)}, joined by commas; got {unknown!r}")
    for key, value in {"turns": turns, "cycles": cycles, "threads": threads}.items():
        if value < 1:
            raise UserError(f"{key} must be at least 1; got {value}")
    chosen, used, faults = {}, set(), []
    for name in names:
        kind = getattr(zoo, ROWS[name].model)
        given = {key: value for key, value in model.items() if key in settings_of(kind)}
        own, wrong = check_settings(kind, given, "model.", complete=False)
        used, faults = used | given.keys(), faults + wrong
        chosen[name] = replace(ROWS[name], settings={**ROWS[name].settings, **own})
    known = {key for name in names for key in settings_of(getattr(zoo, ROWS[name].model))}
    faults += [
        f"model.{key}: no model of these rows has a setting of that name.{did_you_mean(key, known)}"
        for key in model.keys() - used
    ]
    if faults:
        raise RecipeError("the command line", sorted(set(faults)))
    return chosen


def repositories(folder: str, rows: dict[str, Row]) -> dict[str, Path]:
    """Return the repositories of some rows' peers that are in a folder, by the peers' names.

    Raises:
        UserError: when there is no folder, or none of them in it.
    """
    peers = {peer: kind for row in rows.values() for peer, kind in row.peers.items()}
    wanted = ", ".join(f"{kind.folders[0]} (github.com/{kind.address})" for kind in peers.values())
    if not folder:
        raise UserError(f"give the folder with the peers' repositories, as the first word: {wanted}")
    if not Path(folder).is_dir():
        raise UserError(f"folder={folder}: there is no such folder; it has the peers' repositories: {wanted}")
    places = {peer: [Path(folder) / name for name in kind.folders] for peer, kind in peers.items()}
    found = {peer: path for peer, paths in places.items() for path in paths if path.is_dir()}
    if not found:
        raise UserError(f"folder={folder}: it has none of the repositories: {wanted}")
    return found


# --- times -----------------------------------------------------------------------------------------------------------


def measured_row(
    row: Row, found: dict[str, Path], precision: str, turns: int, cycles: int, baseline: str
) -> dict[str, Any]:
    """Measure all peers of a row that are there, and the baseline."""
    result: dict[str, Any] = {"model": row.model, "settings": row.settings, "batch_size": row.batch_size, "peers": {}}
    cycles *= row.cycles
    for name, kind in row.peers.items():
        if name in found:
            result["peers"][name] = measured_peer(kind, found[name], row, precision, turns, cycles)
    if baseline:
        model = getattr(zoo, row.model)(**row.settings)
        model.set_clock(row.images_seen)
        order = {
            "model": row.model,
            "settings": row.settings,
            "images_seen": row.images_seen,
            "batch_size": row.batch_size,
            "resolution": row.resolution,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "rounds": cycles * model.critic_steps,
        }
        with Baseline(Path(baseline), order) as other:
            if other.has_model:
                result["over_baseline"] = in_turns(model, row, precision, turns, cycles, {"over baseline": other.play})
    return result


def measured_peer(kind: type[Peer], source: Path, row: Row, precision: str, turns: int, cycles: int) -> dict[str, Any]:
    """Measure one peer; a peer that cannot be built has the reason instead of numbers."""
    try:
        peer = kind(source, row, contiguous_batches(row))
    except (ImportError, AttributeError, TypeError, NameError, OSError) as error:
        return {"not_run": f"{type(error).__name__}: {error}"}
    result: dict[str, Any] = {"notes": list(kind.notes), "equal": compare(peer, row)}

    def play(mixed: bool) -> Any:
        def cycles_of(rounds: int) -> None:
            with torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext():
                for _ in range(cycles):
                    peer.cycle()

        return cycles_of

    opponents = {"as it is": play(mixed=False)}
    if precision != "32-true":
        opponents["with autocast"] = play(mixed=True)
    model = converted(peer, row)
    result |= in_turns(model, row, precision, turns, cycles, opponents)
    if precision == "32-true":
        result["both float32"] = result["as it is"]
    else:
        model = converted(peer, row)
        result |= in_turns(model, row, "32-true", turns, cycles, {"both float32": play(mixed=False)})
    return result


def contiguous_batches(row: Row) -> list[tuple[Tensor, Tensor]]:
    """Return random images at the full resolution, as a peer's data loader gives them, and labels."""
    generator, size = torch.Generator().manual_seed(1), row.settings["resolution"]
    return [
        (
            torch.rand(row.batch_size, 3, size, size, generator=generator) * 2 - 1,
            torch.randint(row.settings.get("num_classes") or 1, (row.batch_size,), generator=generator),
        )
        for _ in range(8)
    ]


def in_turns(
    model: Any, row: Row, precision: str, turns: int, cycles: int, opponents: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Let the zoo and its opponents take turns; return the ratio to each, and the milliseconds of a cycle."""
    clock = Turns(cycles * model.critic_steps, turns, opponents, "cpu")
    batches = batches_for(model, 8, row.batch_size, row.resolution)
    fit(model, [b if b[1] is not None else b[0] for b in batches], precision, "cpu", clock)
    return {name: summary(name, clock.processor_seconds[1:], clock.seconds[1:], cycles) for name in opponents}


def summary(
    name: str, processor: Sequence[dict[str, float]], wall: Sequence[dict[str, float]], cycles: int
) -> dict[str, Any]:
    """Return an opponent's ratio over turns in processor time, and in wall-clock time, and the times of a cycle."""
    ratios = [turn[name] / turn["zoo"] for turn in processor]

    def milliseconds(which: str) -> float:
        return round(1000 * statistics.median(turn[which] for turn in processor) / cycles, 2)

    return {
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "wall_clock_ratio": round(statistics.median(turn[name] / turn["zoo"] for turn in wall), 3),
        "milliseconds_per_cycle": {"zoo": milliseconds("zoo"), "opponent": milliseconds(name)},
    }


def table(result: dict[str, Any]) -> str:
    """Return the ratios as a Markdown table."""
    columns = ("as it is", "with autocast", "both float32")
    lines = [f"| one cycle, batch | peer | {' | '.join(columns)} | over baseline |", "|---" * 6 + "|"]
    for label, row in result["rows"].items():
        over = f"{row['over_baseline']['over baseline']['ratio']:.2f}" if "over_baseline" in row else "-"
        for name, peer in row["peers"].items() or [("-", {})]:
            cells = [f"{peer[column]['ratio']:.2f}" if column in peer else "-" for column in columns]
            cells = ["not run: " + peer["not_run"], "", ""] if "not_run" in peer else cells
            lines.append(f"| {label}, {row['batch_size']} | {name} | {' | '.join(cells)} | {over} |")
    return "\n".join(lines)


@functools.wraps(benchmark)
def main(**words: Any) -> None:  # noqa: D103 - it has the docstring of `benchmark`
    benchmark(**words)


if __name__ == "__main__":
    folder, *words = sys.argv[1:] or [""]
    if folder and "=" not in folder and not folder.startswith("-"):
        folder = f"folder={folder}"
    run_command("benchmarks.peers", main, [word for word in (folder, *words) if word])
