"""The bridge to lightning-bolts: its data modules and two of its callbacks, by class path in a recipe.

    pip install --no-deps lightning-bolts==0.7.0

Its last release wants pytorch-lightning below 2, so it is installed without its requirements. It then imports once the
module `pytorch_lightning.utilities.apply_func`, which Lightning 2 has no more, is there again; and of what it offers,
some classes need a repair, and some cannot work. All of that is here, and nothing happens until a `pl_bolts` class is
asked for.

| of pl_bolts | here |
|---|---|
| `datamodules.*` of images | work; `resolution` is added, and images come in [-1, 1] (see `adapted`) |
| `callbacks.TensorboardGenerativeModelImageSampler`, `callbacks.LatentDimInterpolator` | work; `every` is added |
| other callbacks | as they are |
| `models.gans.*` | refused: they need automatic optimization of two optimizers, which Lightning 2 does not have |

A loader of pl_bolts shuffles as it likes: what a resumed run sees is not what the unbroken one would have seen.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from types import ModuleType, SimpleNamespace
from typing import Any

from zoo.errors import UserError

PACKAGE = "pl_bolts"
ALIAS = "pytorch_lightning.utilities.apply_func"
REPLACED = {
    "GAN": "VanillaGAN",
    "DCGAN": "DCGAN",
    "Pix2Pix": None,
    "SRGAN": None,
    "SRResNet": None,
}


def enable() -> None:
    """Make `import pl_bolts` work; called when a class of it is asked for.

    Raises:
        UserError: when it is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            "lightning-bolts is not installed. Its requirements name an old Lightning, so: "
            "pip install --no-deps lightning-bolts==0.7.0"
        )
    if ALIAS not in sys.modules and importlib.util.find_spec(ALIAS) is None:
        from lightning_fabric.utilities import move_data_to_device
        from lightning_utilities.core.apply_func import apply_to_collection

        alias = ModuleType(ALIAS)
        vars(alias).update(apply_to_collection=apply_to_collection, move_data_to_device=move_data_to_device)
        sys.modules[ALIAS] = alias
    with warnings.catch_warnings(record=True):  # every class of it is "under review", whatever filters say
        importlib.import_module(PACKAGE)


def adapted(target: Any) -> Any:
    """What a recipe gets for a class of pl_bolts: the class, or one built on it that works here.

    Raises:
        UserError: for its GANs, naming what to use instead.
    """
    from pytorch_lightning import LightningDataModule

    if not inspect.isclass(target):
        return target
    if target.__module__.startswith(f"{PACKAGE}.models.gans"):
        ours = REPLACED.get(target.__name__)
        instead = f"use {ours} of the zoo" if ours else "the zoo has nothing like it"
        besides = (
            "; zoo.hub.convert(..., source='lightning-bolts-DCGAN') brings its weights along" if ours == "DCGAN" else ""
        )
        raise UserError(
            f"{target.__name__} of pl_bolts does not train under Lightning 2, which has no automatic "
            f"optimization of two optimizers: {instead}{besides}"
        )
    if target.__name__ in ("TensorboardGenerativeModelImageSampler", "LatentDimInterpolator"):
        return _callback(target)
    if issubclass(target, LightningDataModule):
        return _data_module(target)
    return target


def _named_as(original: type, built: type) -> type:
    """So that a run's recipe.yaml names the original, and finds its way here again."""
    built.__module__, built.__qualname__, built.__name__ = original.__module__, original.__qualname__, original.__name__
    return built


# --- data modules ----------------------------------------------------------------------------------------------------


def _data_module(original: Any) -> type:
    """A data module whose images are in [-1, 1] and of a wanted size."""

    class Adapted(original):  # type: ignore[misc]
        def __init__(self, resolution: int = 0, **bolts: Any) -> None:
            if resolution < 0:
                raise ValueError(f"resolution must be at least 1 pixel, or 0 for the images' own; got {resolution}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().__init__(**bolts)
            self.resolution = resolution

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            from zoo.training.batch import Batch

            batch = Batch.of(batch)
            return Batch(to_range(batch.images, bool(getattr(self, "normalize", False)), self.resolution), batch.labels)

    return _named_as(original, Adapted)


def to_range(images: Any, is_normalised: bool, resolution: int) -> Any:
    """Images in [-1, 1] of a size, from what pl_bolts loads: [0, 1], or [-1, 1] with `normalize`."""
    from torch.nn.functional import interpolate

    images = images if is_normalised else images * 2 - 1
    if resolution and images.shape[-1] != resolution:
        images = interpolate(images, size=(resolution, resolution), mode="bicubic", antialias=True)
    return images.clamp(-1, 1)


# --- callbacks -------------------------------------------------------------------------------------------------------


def _callback(original: Any) -> type:
    """One of the two generative callbacks, on our clock, drawing from the averaged generator."""
    from zoo.callbacks.every import Every

    _give_back_range(original)

    class Adapted(Every):
        def __init__(self, every: int, **bolts: Any) -> None:
            super().__init__(every)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.bolts = original(
                    **{"interpolate_epoch_interval": 1, **bolts} if _interpolates(original) else bolts
                )

        def act(self, trainer: Any, model: Any) -> None:
            board = _tensorboard(trainer)
            if board is not None and trainer.is_global_zero:
                stand_in = SimpleNamespace(logger=board, current_epoch=0, global_step=model.images_seen)
                self.bolts.on_train_epoch_end(stand_in, _Sampled(model))

    own = inspect.signature(original.__init__).parameters.values()
    kept = [p for p in own if p.name not in ("self", "interpolate_epoch_interval")]
    every = inspect.signature(Adapted.__init__).parameters["every"]
    self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    Adapted.__init__.__signature__ = inspect.Signature([self_, every, *kept])  # type: ignore[attr-defined]
    hints = {p.name: p.annotation for p in kept if p.annotation is not inspect.Parameter.empty}
    Adapted.__init__.__annotations__ = {"every": int, **hints, "return": None}
    return _named_as(original, Adapted)


def _interpolates(original: Any) -> bool:
    return "interpolate_epoch_interval" in inspect.signature(original.__init__).parameters


def _tensorboard(trainer: Any) -> Any:
    from pytorch_lightning.loggers import TensorBoardLogger

    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


class _Sampled:
    """A model as these callbacks want one: called with latents, it gives images.

    Images are those of the averaged generator; modes and buffers of the model stay as they are. Classes come in turn.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.device = model, model.device
        self.hparams = SimpleNamespace(latent_dim=model.latent_dim)
        self.__class__ = type(type(model).__name__, (_Sampled,), {})  # its name is in the picture's title

    def __call__(self, z: Any) -> Any:
        import torch

        from zoo.sampling.images import render

        classes = self.model.num_classes
        labels = torch.arange(len(z), device=z.device) % classes if classes else None
        return render(self.model, z, labels)

    def eval(self) -> None:
        """Nothing: the average always is."""

    def train(self) -> None:
        """Nothing."""


def _give_back_range(original: Any) -> None:
    """Torchvision's `make_grid` lost its argument `range` (now `value_range`); its caller sees one that has it."""
    module = sys.modules[original.__module__]
    torchvision = getattr(module, "torchvision", None)
    if torchvision is None or isinstance(torchvision, SimpleNamespace):
        return

    def make_grid(*args: Any, **settings: Any) -> Any:
        if "range" in settings:
            settings["value_range"] = settings.pop("range")
        return torchvision.utils.make_grid(*args, **settings)

    module.torchvision = SimpleNamespace(utils=SimpleNamespace(make_grid=make_grid))  # type: ignore[attr-defined]
