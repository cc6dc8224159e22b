"""Fine-tuning: start from the weights of a trained model instead of random ones.

Tensors that agree with the source in name and shape are copied from it. The others, such as those for the classes of
another data set or for a larger resolution, keep their random initial values. Optimizers, clock and data begin anew;
this does not resume a run. Few images suffice if both networks were trained on other images before: Wang et al. 2018,
"Transferring GANs: generating images from limited data", arXiv:1805.01677, section 4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.config.recipe_files import recipe_names
from zoo.config.settings import settings_of
from zoo.errors import CheckpointError, UserError, shell_word
from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import sha256_of
from zoo.io.run_folder import run_of
from zoo.releases import weights
from zoo.releases.references import Reference
from zoo.releases.release_format import AVERAGE, LIVE, read_header_config
from zoo.runs.locating import locate, newest_checkpoint


@dataclass(frozen=True)
class Source:
    """The tensors of a trained model, of which no module was built.

    Args:
        class_path: name of the model's class in recipes: bare for a class of this library.
        settings: arguments of its constructor.
        tensors: all tensors by their names in the state dict.
        sha256: digest of the file, 64 hexadecimal digits.
    """

    class_path: str
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    sha256: str

    @property
    def class_name(self) -> str:
        """The name of the model's class without its module."""
        return self.class_path.rpartition(".")[2]

    def tensor(self, name: str) -> Tensor | None:
        """Return the tensor with a name, or None.

        If the source has only the live or only the averaged generator, its tensors are returned for both.
        """
        other = name
        for prefix, other_prefix in ((LIVE, AVERAGE), (AVERAGE, LIVE)):
            if name.startswith(prefix):
                other = other_prefix + name.removeprefix(prefix)
        return self.tensors.get(name, self.tensors.get(other))


@dataclass(frozen=True)
class Start:
    """The weights that a model started from.

    Args:
        where: the source, as the user named it.
        sha256: digest of the source's file, 64 hexadecimal digits.
        taken: number of tensors that were copied from the source.
        anew: names of the tensors that keep their random initial values.
    """

    where: str
    sha256: str
    taken: int
    anew: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the record for the run folder."""
        return {"from": self.where, "sha256": self.sha256, "taken": self.taken, "anew": list(self.anew)}

    def describe(self) -> str:
        """Return a line for the console."""
        text = f"{self.taken:,} of {self.taken + len(self.anew):,} tensors are those of {self.where}"
        if self.anew:
            text += f"; drawn anew: {', '.join(self.anew[:4])}" + (" and more" if len(self.anew) > 4 else "")
        return text


def start_from(model: GAN, where: str | Path) -> Start:
    """Copy the weights of a trained model into another as far as they fit: `zoo.start_from(model, "biggan_fashion")`.

    Args:
        model: the model to fine-tune; its class may be one that you wrote.
        where: a run folder, a checkpoint, or a release: its name, folder or file, `hf:ORG/NAME`, or
            `https://...#sha256=...`. Only tensors are read, so the class of the source need not be importable.

    Returns:
        A record of the tensors that were copied.

    Raises:
        UserError: if there is no such source, or less than half of the model's weights fit and more differs than the
            number of classes; the model is then unchanged.
    """
    source, state = read_source(where), model.state_dict()
    candidates = {name: source.tensor(name) for name in state}
    taken = {
        name: tensor
        for name, tensor in candidates.items()
        if tensor is not None
        and tensor.shape == state[name].shape
        and tensor.is_floating_point() == state[name].is_floating_point()
    }
    anew = tuple(name for name in state if name not in taken)
    share = _count_weights(taken) / _count_weights(state)
    differing = _differing(source, model)
    if share < 0.5 and {name.rpartition(".")[2] for name in differing} != {"num_classes"}:
        first, theirs = anew[0], candidates[anew[0]]
        fault = (
            "is not in it" if theirs is None else f"is {tuple(theirs.shape)} in it, {tuple(state[first].shape)} here"
        )
        raise UserError(
            f"{where} holds a {source.class_name} of which only {share:.0%} of this {type(model).__name__} can be "
            f"taken, less than half: {first} {fault}. {_remedy(where, source, model, differing)}"
        )
    model.load_state_dict({**state, **taken})
    return Start(str(where), source.sha256, len(taken), anew)


def _differing(source: Source, model: GAN) -> dict[str, Any]:
    """Return the settings of the networks that the source has otherwise, with its values; none for another class.

    Those of the base of a mixture are named `base.NAME`.
    """
    if source.class_name != type(model).__name__:
        return {}
    theirs, own = (_network_settings(each, model.loss_settings) for each in (source.settings, dict(model.hparams)))
    return {name: value for name, value in theirs.items() if name in own and value != own[name]}


def _network_settings(settings: Mapping[str, Any], of_losses: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings that belong to the networks, as plain values with texts as keys, as JSON has them.

    Args:
        settings: arguments of a model.
        of_losses: settings that only its losses read.
    """
    kept = set(settings_of(GAN)) - {"resolution", "channels", "latent_dim", "num_classes"} | set(of_losses)
    base = settings.get("base")
    inner = _network_settings(base, of_losses) if isinstance(base, Mapping) else {}
    plain = {
        name: _plain(value) for name, value in settings.items() if name not in {*kept, *(["base"] if inner else [])}
    }
    return {**plain, **{f"base.{name}": value for name, value in inner.items()}}


def _remedy(where: str | Path, source: Source, model: GAN, differing: Mapping[str, Any]) -> str:
    """Return what to give for the weights of a source to fit, as words of a command."""
    is_release = isinstance(locate(where), Reference)
    if not differing and not (is_release and "." in source.class_path):  # its recipe would name a class of the library
        with suppress(UserError):
            return f"Fine-tune with recipe={shell_word(recipe_of(where))}, by which it was trained"
    settings = differing or {"class": source.class_path, **_network_settings(source.settings)}
    words = [f"model.{name}={_word(value)}" for name, value in settings.items() if "num_classes" not in name]
    return f"Fine-tune with the settings that it was trained with: {' '.join(map(shell_word, words))}"


def _word(value: Any) -> str:
    """Return a plain value as the command line takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_word(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _count_weights(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def read_source(where: str | Path) -> Source:
    """Read the tensors of a run, a checkpoint or a release.

    Raises:
        UserError: if there is nothing to read, or it is refused.
    """
    location = locate(where)
    if isinstance(location, Reference):
        files = find(location)
        config, _ = read_header_config(files.weights, files.config)
        tensors = weights.read(files.weights)
        return Source(str(config["class"]), config["arguments"], tensors, sha256_of(files.weights))
    path = newest_checkpoint(location)
    state = read_checkpoint(path)
    settings = state.get("hyper_parameters", {})
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} is refused: its hyper_parameters are {str(settings)[:80]}, no settings")
    written = str(state["zoo"]["class"])
    name = _last_part(written) if written.startswith("zoo.") else written
    return Source(name, dict(settings), state["state_dict"], sha256_of(path))


def recipe_of(where: str | Path) -> str:
    """Return the recipe by which a trained model was trained: the name of one of the library, or the file of a run.

    Args:
        where: the source of the weights, see `start_from`.

    Raises:
        UserError: if there is no such source, or the library has no recipe of that name.
    """
    location = locate(where)
    if not isinstance(location, Reference):
        run = run_of(newest_checkpoint(location))
        if run is not None and run.recipe.is_file():
            return str(run.recipe)
        raise UserError(f"pretrained={where} has no recipe beside it. Give recipe=NAME; `python -m zoo` lists them")
    files = find(location)
    config, _ = read_header_config(files.weights, files.config)
    about = (files.config or {}).get("about")
    training = about.get("training") if isinstance(about, dict) else None
    name = training.get("recipe") if isinstance(training, dict) else None
    if name in recipe_names():
        return str(name)
    raise UserError(
        f"pretrained={where} names no recipe of this library that it was trained by. Give recipe=NAME, one whose model "
        f"is {_last_part(config['class'])}; `python -m zoo` lists them"
    )


def _last_part(class_path: object) -> str:
    return str(class_path).rpartition(".")[2]
