"""Start from the weights of a trained model, instead of random ones: fine-tuning.

What a model and its source have in common, by name and shape, is taken; what is the model's own (the classes of another
data set, a larger resolution) stays as it was drawn. Optimizers, clock and data begin anew: this is no resumed run.
That few images suffice when both networks were trained on others before: Wang et al. 2018, "Transferring GANs:
generating images from limited data", arXiv:1805.01677, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.errors import UserError
from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import sha256_of
from zoo.releases import release_format, weights
from zoo.releases.release_format import AVERAGE, LIVE
from zoo.runs.locating import checkpoint_of, is_release, place_of


@dataclass(frozen=True)
class Source:
    """Tensors of a trained model, which nothing was built for.

    Args:
        where: as it was given.
        name: class of the model that they are of.
        tensors: by name.
        sha256: of the file.
    """

    where: str
    name: str
    tensors: dict[str, Tensor]
    sha256: str

    def named(self, name: str) -> Tensor | None:
        """The tensor of that name, or None. Of generator and average, one stands for the other if it is alone."""
        other = name
        for mine, theirs in ((LIVE, AVERAGE), (AVERAGE, LIVE)):
            if name.startswith(mine):
                other = theirs + name.removeprefix(mine)
        return self.tensors.get(name, self.tensors.get(other))


@dataclass(frozen=True)
class Start:
    """What a model began with.

    Args:
        where: the source, as it was given.
        sha256: of its file.
        taken: number of tensors that are the source's.
        anew: names of those that are not.
    """

    where: str
    sha256: str
    taken: int
    anew: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For the run's folder."""
        return {"from": self.where, "sha256": self.sha256, "taken": self.taken, "anew": list(self.anew)}

    def describe(self) -> str:
        """For the console."""
        text = f"{self.taken:,} of {self.taken + len(self.anew):,} tensors are those of {self.where}"
        if self.anew:
            text += f"; drawn anew: {', '.join(self.anew[:4])}" + (" and more" if len(self.anew) > 4 else "")
        return text


def start_from(model: GAN, where: str | Path) -> Start:
    """Put the weights of a trained model into another, as far as they fit: `zoo.start_from(model, "biggan_fashion")`.

    Args:
        model: any GAN, also of a class of your own.
        where: a run folder or a checkpoint of one, or a release: its name, folder or file, `hf:ORG/NAME`, or
            `https://...#sha256=...`. Only tensors are read, so the class that they are of need not be here.

    Returns:
        What was taken.

    Raises:
        UserError: when there is nothing there, or less than half of the model's weights would fit; the model is then
            unchanged.
    """
    source, state = source_of(str(where)), model.state_dict()
    found = {name: source.named(name) for name in state}
    taken = {name: tensor for name, tensor in found.items() if tensor is not None and tensor.shape == state[name].shape}
    anew = tuple(name for name in state if name not in taken)
    share = _numbers(taken) / _numbers(state)
    if share < 0.5:
        first, theirs = anew[0], found[anew[0]]
        what = "is not in it" if theirs is None else f"is {tuple(theirs.shape)} in it, {tuple(state[first].shape)} here"
        raise UserError(
            f"{where} holds a {source.name} of which only {share:.0%} of this {type(model).__name__} can be taken, "
            f"less than half: {first} {what}. Fine-tune with the class and widths that it was trained with"
        )
    model.load_state_dict({**state, **taken})
    return Start(str(where), source.sha256, len(taken), anew)


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def source_of(where: str) -> Source:
    """The tensors of a checkpoint or a release.

    Raises:
        UserError: when there is nothing to load.
    """
    if not is_release(where):
        path = checkpoint_of(where)
        state = read_checkpoint(path)
        return Source(where, str(state["zoo"]["class"]).rpartition(".")[2], state["state_dict"], sha256_of(path))
    file, config = find(place_of(where))
    own, _ = release_format.read_own(file, config)
    return Source(where, str(own["class"]).rpartition(".")[2], weights.read(file), sha256_of(file))
