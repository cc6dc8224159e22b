"""Train the same networks by two versions of the code, and compare them to the last bit.

    python benchmarks/same_bits.py --out FILE              # on one version: train every case, leave its digests
    python benchmarks/same_bits.py --against FILE          # on another: train them again, and compare

Every recipe whose data need no download is trained for 100 rounds with its own seed, on one thread of the CPU, in
float32; then narrow networks of each variant in bf16-mixed, and with what else the loop and the variants offer. Of each
run there are digests of the model's whole state (names, types, shapes and bytes), of its optimizers' and of eight
samples. Runs that were interrupted and resumed, and a run with all callbacks, shall have the state of the plain run.

Only `zoo.fit` and the model that it returns are used, so one file serves both versions; PYTHONPATH says which is meant.
Bits compare only where processor, torch and threads are the same. All cases take six minutes of the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

import zoo

DIGESTS = ("state", "optimizers", "samples")
MACHINE = ("processor", "cpu_capability", "threads", "torch", "pytorch_lightning", "numpy", "scikit_learn")
"""Where these differ, bits may as well."""
NO_PICTURES = {"Alarms": None, "MixtureReport": None, "SampleGrid": None, "SampleMetrics": None}


@dataclass(frozen=True)
class Case:
    """Describe one training run.

    Args:
        name: of the case.
        recipe: of the zoo.
        images: length of the run.
        model: overrides of the recipe's model,
        data: of its data,
        callbacks: of its callbacks; those that draw pictures or only watch are left out unless named here,
        rest: and of anything else.
        precision: of the trainer.
        resumed_at: images after which the run ends and is resumed; 0 for a run in one piece.
        same_as: the case whose state this one shall end with.
    """

    name: str
    recipe: str
    images: int
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    precision: str = "32-true"
    resumed_at: int = 0
    same_as: str = ""

    def overrides(self) -> dict[str, Any]:
        """Return what replaces the recipe's values."""
        trainer = {"accelerator": "cpu", "precision": self.precision}
        return {
            "model": self.model,
            "data": self.data,
            "trainer": trainer,
            "callbacks": {**NO_PICTURES, **self.callbacks},
            **self.rest,
        }

    def settings(self) -> dict[str, Any]:
        """Return all that defines the case, as JSON gives it back."""
        found = {"recipe": self.recipe, "images": self.images, "resumed_at": self.resumed_at, **self.overrides()}
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain


# --- the cases -------------------------------------------------------------------------------------------------------

GROWING = {"hold_images": 250, "fade_images": 250}
GROWING_BATCH = {"batch_size": {4: 25, 8: 16}}
GROWN = 1690  # images of 100 rounds, in which these go through four resolutions and three fades
MEMBERS = {"base": {"width": 8}}
WATCHING = {
    "Alarms": {"rounds": 5, "every": 1280},
    "SampleGrid": {"every": 1600},
    "SampleMetrics": {"every": 3200, "n": 100, "extractor": "pixels"},
}


def recipes() -> list[Case]:
    """Return every recipe on embedded or drawn data; smaller than written only where it would take a minute."""
    stacked = "mix_dcgan_stacked_digits"
    return [
        Case("vanilla_digits", "vanilla_digits", 6400),
        Case("vanilla_ring", "vanilla_ring", 10_000),
        Case("vanilla_grid", "vanilla_grid", 10_000),
        Case("dcgan_digits", "dcgan_digits", 6400),
        Case("wgan_gp_digits", "wgan_gp_digits", 6400),
        Case("progan_digits", "progan_digits", GROWN, model=GROWING, data=GROWING_BATCH),
        Case("biggan_digits", "biggan_digits", 6400),
        Case("r3gan_digits", "r3gan_digits", 3200),
        Case("mix_vanilla_ring", "mix_vanilla_ring", 10_000, data={"batch_size": 100}),
        Case("mix_vanilla_grid", "mix_vanilla_grid", 10_000, data={"batch_size": 100}),
        Case("mix_dcgan_digits", "mix_dcgan_digits", 9600),
        Case("mix_dcgan_stacked_digits", stacked, 8000, model={"base": {"width": 16}}, data={"batch_size": 80}),
    ]


def same_ends() -> list[Case]:
    """Return other ways to the state that a plain run ends with."""
    mixture: dict[str, Any] = {"recipe": "mix_dcgan_digits", "images": 3000, "data": {"batch_size": 30}}
    growing: dict[str, Any] = {"recipe": "progan_digits", "images": GROWN, "model": GROWING, "data": GROWING_BATCH}
    return [
        Case("dcgan, resumed", "dcgan_digits", 6400, resumed_at=3200, same_as="dcgan_digits"),
        Case("progan, resumed within a fade", **growing, resumed_at=900, same_as="progan_digits"),
        Case("dcgan, all callbacks", "dcgan_digits", 6400, callbacks=WATCHING, same_as="dcgan_digits"),
        Case("mix, narrow", **mixture, model=MEMBERS),
        Case("mix, narrow, resumed", **mixture, model=MEMBERS, resumed_at=1500, same_as="mix, narrow"),
    ]


def loops() -> list[Case]:
    """Return what the loop offers, on narrow networks."""

    def dcgan(name: str, data: dict[str, Any] | None = None, rest: dict[str, Any] | None = None, **model: Any) -> Case:
        narrow = {"width": 8, **model}
        smaller = {"batch_size": 32, **(data or {})}
        return Case(f"dcgan, {name}", "dcgan_digits", 3200, model=narrow, data=smaller, rest=rest or {})

    def vanilla(name: str, **model: Any) -> Case:
        narrow = {"width": 64, "discriminator_width": 32, **model}
        return Case(f"vanilla, {name}", "vanilla_digits", 6400, model=narrow)

    colours = {"class": "StackedDigits", "triples": 2000}
    return [
        dcgan("micro_batches", micro_batches=2),
        dcgan("augment", augment=["color", "translation", "cutout"]),
        dcgan("clip_norm", clip_norm=0.5),
        dcgan("critic_steps, schedule", critic_steps=3, lr_schedule="cosine", lr_horizon=3200, lr_warmup=800),
        dcgan("no average, flip, unconditional", {"flip": True}, average_halflife=0, num_classes=0),
        dcgan("5x5, late average", kernel_size=5, average_start=1000),
        dcgan("hinge, r1", objective="hinge", r1=1.0),
        dcgan("another seed of the model", seed=7),
        dcgan("colours", colours, channels=3, num_classes=0, augment=["color"]),
        dcgan("another seed", rest={"seed": 3}),
        dcgan("pretrained", rest={"pretrained": "dcgan_digits"}, width=32),
        vanilla("micro_batches", micro_batches=4),
        vanilla("augment", augment=["translation", "cutout"]),
        vanilla("clip_norm", clip_norm=0.1),
        vanilla("saturating, r1", objective="saturating", r1=0.5),
        vanilla("least_squares, batch_norm", objective="least_squares", batch_norm=True),
    ]


def variants() -> list[Case]:
    """Return other networks and losses of the variants, narrow."""

    def wgan_gp(name: str, **model: Any) -> Case:
        return Case(f"wgan_gp, {name}", "wgan_gp_digits", 1600, model={"width": 8, **model}, data={"batch_size": 16})

    def progan(name: str, images: int = GROWN, **model: Any) -> Case:
        narrow = {"width": 16, "width_base": 64, **GROWING, **model}
        return Case(f"progan, {name}", "progan_digits", images, model=narrow, data=GROWING_BATCH)

    def biggan(name: str, **model: Any) -> Case:
        return Case(f"biggan, {name}", "biggan_digits", 1600, model={"width": 4, **model}, data={"batch_size": 16})

    return [
        wgan_gp("resnet", architecture="resnet", dequantise=True, generator_batch=2),
        wgan_gp("layer_norm", architecture="layer_norm", resolution=32),
        wgan_gp("unconditional, clip_norm", num_classes=0, clip_norm=1.0, micro_batches=2),
        progan("r1", objective="non_saturating", r1=0.3, r1_every=4, augment=["translation"]),
        progan("as ported", variant="pytorch_GAN_zoo", num_classes=0, pixel_norm=False),
        progan("from 8, not equalized", 1600, initial_resolution=8, equalized=False, fade_images=0, micro_batches=2),
        biggan("attention", attention=8, initialisation="normal", critic_steps=2),
        biggan("own embeddings", shared_dim=0, skip_latents=False, orthogonal=0.0, micro_batches=2),
        biggan("unconditional, r1", num_classes=0, r1=1.0, objective="least_squares"),
        biggan("deep", **{"class": "BigGANDeep"}, attention=8, critic_steps=2),
    ]


def mixtures() -> list[Case]:
    """Return mixtures of every payoff, update of weights and base."""

    def mix(name: str, base: Mapping[str, Any], **model: Any) -> Case:
        narrow = {"base": {"width": 8, **base}, **model}
        return Case(f"mix, {name}", "mix_dcgan_digits", 3000, model=narrow, data={"batch_size": 30})

    growing: dict[str, Any] = {"class": "ProGAN", "resolution": 16, "width": 16, "width_base": 64}
    growing |= {"hold_images": 700, "fade_images": 700}
    points: dict[str, Any] = {"components": 3, "payoff": "full", "weight_update": "optimizer"}
    points |= {"base": {"width": 100, "discriminator_width": 50}}
    wgan_gp = {"class": "WGANGP", "width": 4, "architecture": "convolutional"}
    return [
        mix("full", {}, payoff="full"),
        mix("optimizer", {}, weight_update="optimizer"),
        mix("full, optimizer", {}, payoff="full", weight_update="optimizer", weight_lr=0.1),
        mix("shannon, 2 against 3", {}, regulariser="shannon", generators=2, discriminators=3),
        mix("one member", {}, components=1),
        mix("wgan_gp", wgan_gp, components=2),
        mix("wgan_gp, full", wgan_gp, components=2, payoff="full"),
        mix("biggan", {"class": "BigGAN", "width": 4, "attention": 0, "critic_steps": 1}, components=2),
        mix("progan", growing, components=2),
        mix("augment, micro_batches, clip_norm", {"augment": ["cutout"], "micro_batches": 2, "clip_norm": 0.5}),
        Case("mix, points, full, optimizer", "mix_vanilla_ring", 5000, model=points, data={"batch_size": 50}),
    ]


def in_bf16() -> list[Case]:
    """Return a narrow network of each variant in bf16-mixed, which most processors only emulate."""
    grown = {"width": 16, "width_base": 64, **GROWING}
    of_32: dict[str, Any] = {"images": 3200, "data": {"batch_size": 32}, "precision": "bf16-mixed"}
    of_16: dict[str, Any] = {"images": 1600, "data": {"batch_size": 16}, "precision": "bf16-mixed"}
    bf16 = "bf16-mixed"
    return [
        Case("vanilla, bf16", "vanilla_digits", model={"width": 64, "discriminator_width": 32}, **of_32),
        Case("dcgan, bf16", "dcgan_digits", model={"width": 8}, **of_32),
        Case("wgan_gp, bf16", "wgan_gp_digits", model={"width": 8}, **of_32),
        Case("progan, bf16", "progan_digits", GROWN, model=grown, data=GROWING_BATCH, precision=bf16),
        Case("biggan, bf16", "biggan_digits", model={"width": 4}, **of_16),
        Case("mix, bf16", "mix_dcgan_digits", model={"base": {"width": 4}}, **of_16),
    ]


def all_cases() -> list[Case]:
    """Return every case, those that others are compared with first."""
    return [*recipes(), *same_ends(), *loops(), *variants(), *mixtures(), *in_bf16()]


# --- digests ---------------------------------------------------------------------------------------------------------


def digest_of_tensors(tensors: Iterable[tuple[str, Any]]) -> str:
    """Compute the sha256 of named tensors and plain values, in the order of their names."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(name.encode() + b"\0")
        if isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{value!r}\0".encode())
    return digest.hexdigest()


def optimizer_values(optimizers: Iterable[Optimizer]) -> Iterable[tuple[str, Any]]:
    """Name everything that optimizers keep: their groups' settings and each parameter's moments."""
    for place, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        for number, group in enumerate(state["param_groups"]):
            yield from ((f"{place}/group {number}/{key}", value) for key, value in group.items())
        for parameter, kept in state["state"].items():
            yield from ((f"{place}/{parameter:06d}/{key}", value) for key, value in kept.items())


def train(case: Case, folder: Path) -> dict[str, Any]:
    """Run a case and return the digests of what came of it."""
    began = time.process_time()
    run = zoo.fit(case.recipe, out=folder, images=case.resumed_at or case.images, **case.overrides())
    if case.resumed_at:
        run = zoo.fit(resume=folder, images=case.images)
    model = run.model
    state = model.state_dict()
    return {
        "rounds": model.rounds,
        "images_seen": model.images_seen,
        "tensors": len(state),
        "state": digest_of_tensors(state.items()),
        "optimizers": digest_of_tensors(optimizer_values(model.trainer.optimizers)),
        "samples": digest_of_tensors({"samples": model.sample(8, seed=0)}.items()),
        "processor_seconds": round(time.process_time() - began, 1),
    }


def attempt(case: Case) -> dict[str, Any]:
    """Run a case in a folder of its own; what fails is recorded, so that the others still run."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["ZOO_CACHE"] = str(Path(folder) / "cache")
        try:
            found = train(case, Path(folder) / "run")
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
    return {"settings": case.settings(), **found}


# --- the record ------------------------------------------------------------------------------------------------------


def processor() -> str:
    """Name the processor, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Find the commit of the code that trains, with a plus where files differ from it."""
    git = ["git", "-C", str(Path(zoo.__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed.stdout.strip() else "")


def protocol() -> dict[str, Any]:
    """Describe what the bits depend on."""
    packages = ("pytorch_lightning", "numpy", "scikit_learn")
    return {
        "what": (__doc__ or "").strip(),
        "commit": commit(),
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        **{name: version(name.replace("_", "-")) for name in packages},
    }


def unlike(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Name what of two runs of a case is not the same."""
    if "error" in mine or "error" in theirs:
        return [f"error ({mine.get('error') or 'in the other version'})"]
    return [key for key in ("settings", "rounds", "images_seen", *DIGESTS) if mine.get(key) != theirs.get(key)]


def faults_within(cases: Iterable[Case], found: Mapping[str, Any]) -> list[str]:
    """Describe runs that failed, and those that should have ended alike but did not."""
    faults = [f"{name}: {result['error']}" for name, result in found.items() if "error" in result]
    for case in cases:
        if case.same_as in found and case.name in found:
            pair = found[case.name], found[case.same_as]
            wrong = [key for key in DIGESTS if pair[0].get(key) != pair[1].get(key)]
            if wrong:
                faults.append(f"{case.name}: not the {', '.join(wrong)} of {case.same_as}")
    return faults


def compare(mine: Mapping[str, Any], theirs: Mapping[str, Any], names: Iterable[str]) -> int:
    """Print the verdict on each case; return how many are not the same."""
    for key in MACHINE:
        here, there = mine["protocol"][key], theirs["protocol"][key]
        if here != there:
            print(f"note: {key} is {here!r}, in the file {there!r}; bits may differ for that alone")
    verdicts = {}
    for name in names:
        pair = mine["cases"].get(name), theirs["cases"].get(name)
        verdicts[name] = ["only in one of the two"] if None in pair else unlike(*pair)
        wrong = ", ".join(verdicts[name])
        print(f"DIFFERS  {name}: {wrong}" if wrong else f"same     {name}")
    different = sum(map(bool, verdicts.values()))
    print(f"{len(verdicts) - different} of {len(verdicts)} cases have the same bits")
    return different


def train_all(cases: Iterable[Case]) -> dict[str, Any]:
    """Run every case, tell how each went, and return what came of them by name."""
    found: dict[str, Any] = {}
    for case in cases:
        result = found[case.name] = attempt(case)
        told = result.get("error") or f"{result['rounds']} rounds, {result['processor_seconds']} s of the processor"
        print(f"{case.name}: {told}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Train all cases, write their digests, and compare them with a file's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write")
    parser.add_argument("--against", type=Path, help="a file of another version; exit code 1 where any case differs")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases whose names contain one of these texts")
    chosen = parser.parse_args()
    theirs = json.loads(chosen.against.read_text()) if chosen.against else None
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    cases = [case for case in all_cases() if not chosen.only or any(text in case.name for text in chosen.only)]
    record = {"protocol": protocol(), "cases": train_all(cases)}
    if chosen.out:
        chosen.out.write_text(json.dumps(record, indent=2) + "\n")
    faults = faults_within(cases, record["cases"])
    for fault in faults:
        print(f"FAULT    {fault}")
    names = [case.name for case in cases]
    if theirs and not chosen.only:
        names += [name for name in theirs["cases"] if name not in names]
    different = compare(record, theirs, names) if theirs else 0
    return int(bool(faults) or different > 0)


if __name__ == "__main__":
    sys.exit(main())
