"""The actions of `python -m zoo.hub` that need torch: pack, verify, convert and publish releases."""

from __future__ import annotations

from functools import wraps
from typing import Any

from zoo import hub
from zoo.config.values import without_words
from zoo.errors import UserError, shell_word
from zoo.hub.converting.tensors import read_file
from zoo.releases import release_format
from zoo.releases.audited import write_card
from zoo.releases.release_format import user_class_paths
from zoo.runs import packing
from zoo.runs.listing import folder_of


@wraps(packing.pack)
def pack(**options: Any) -> None:
    """Run `zoo.runs.packing.pack` and print what to do next."""
    folder = packing.pack(**options)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    paths = user_class_paths(release_format.read_config(folder / release_format.CONFIG))
    cls = f" cls={paths[0]}" if len(paths) == 1 else f" cls=[{','.join(paths)}]" if paths else ""
    command = f"python -m zoo.hub verify={shell_word(folder)}{cls}"
    print(f"{folder}: {size:.1f} MiB. Look at its grid.png and README.md, then: {command}")


def attach(audit: str, report: str) -> None:
    """Put the report of an audit into a release.

    Args:
        audit: name of a release of this library, or folder of a release.
        report: folder that `python -m zoo.audit` wrote for this release.
    """
    print(f"{hub.attach(folder_of(audit), report)}: the card has the audit's verdict. Read it, then verify")


def card(card: str) -> None:
    """Write the card of a release again, after an update of the library changed its wording.

    Args:
        card: name of a release of this library, or folder of a release.
    """
    print(f"{write_card(folder_of(card))}: written from the other files of the release. Read it, then verify")


def verify(verify: str, cls: str | list[str] | None = None) -> None:
    """Check everything that a release claims: digests, tensors, card, and the grid against a fresh one.

    Args:
        verify: name of a release of this library, or folder of a release.
        cls: import path of your own class that the release was made of.
    """
    for line in hub.verify(folder_of(verify), cls):
        print(line)


def push(
    push: str, repo: str, revision: str | None = None, private: bool = False, cls: str | list[str] | None = None
) -> None:
    """Verify a release and upload it to the Hugging Face Hub.

    Args:
        push: folder of the release.
        repo: name of the repository, ORG/NAME; it is created if it does not exist.
        revision: branch to write to; None for the main branch.
        private: whether a repository that is created is private.
        cls: import path of your own class that the release was made of.
    """
    print(hub.push(push, repo, revision, private, cls))


def convert(
    *,
    convert: str | None = None,
    source: str,
    out: str,
    generator: str | None = None,
    discriminator: str | None = None,
    average: str | None = None,
    facts: dict[str, Any] | None = None,
    licence: str | None = None,
    dtype: str = "float32",
) -> None:
    """Make a release of weights that another library trained.

    Args:
        convert: file with all networks; left out where each network has a file of its own.
        source: library that wrote the weights:
            - pytorch-pretrained-biggan: BigGAN-deep generators of huggingface/pytorch-pretrained-biggan; fact:
              truncation
            - BigGAN-PyTorch: BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: G, D, G_ema; fact: epsilon
            - pytorch_GAN_zoo-PGAN: progressive GAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG; facts:
              num_classes, alpha, before_july_2019
            - pytorch_GAN_zoo-DCGAN: DCGAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG
            - pytorch-tutorial-DCGAN: the 4x4 DCGAN of PyTorch's tutorial and examples: netG, netD
            - lightning-bolts-DCGAN: pl_bolts.models.gans.DCGAN: one state dict of the LightningModule
        out: folder of the release.
        generator: file of the generator, instead of `convert`.
        discriminator: file of the discriminator, beside `generator`.
        average: file of the averaged generator, beside `generator`.
        facts: values that the shapes of the tensors do not show, such as facts.truncation=0.4; also any setting of the
            model's class.
        licence: licence of the weights.
        dtype: type of the stored tensors: float32, float16 or bfloat16.

    Raises:
        UserError: for files or facts that do not go together.
    """
    files = {"generator": generator, "discriminator": discriminator, "average": average}
    tensors = {name: read_file(path) for name, path in files.items() if path is not None}
    if (convert is None) == (not tensors):
        raise UserError("give one file, convert=FILE, or generator=FILE with discriminator=FILE and average=FILE")
    given = without_words(facts or {})
    for name in ("source", "state_dict"):
        if name in given:
            raise UserError(f"facts.{name} is none; the source is given as source=, tensors as files")
    model = hub.convert(tensors if convert is None else read_file(convert), source, **given)
    folder = model.save_pretrained(out, dtype=dtype, about={} if licence is None else {"licence": licence})
    print(f"{folder}: a {type(model).__name__} of {model.resolution} px. Look at its grid.png")
