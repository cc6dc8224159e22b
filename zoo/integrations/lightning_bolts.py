"""Adapter for lightning-bolts: its data modules and two of its callbacks can be named in a recipe by their class path.

    pip install --no-deps lightning-bolts==0.7.0

Its last release requires pytorch-lightning below 2, so it is installed without its requirements. To be imported it
needs the module `pytorch_lightning.utilities.apply_func`, which was removed in Lightning 2. Some of its classes need
changes, and some cannot work. This module does all of that, and only when a class of `pl_bolts` is named.

| class of pl_bolts | support |
|---|---|
| `datamodules.*` of images | work; `resolution` is added, and images are in [-1, 1] (see `adapted`) |
| `callbacks.TensorboardGenerativeModelImageSampler`, `callbacks.LatentDimInterpolator` | work; `every` is added |
| other callbacks | used unchanged |
| `models.gans.*` | refused: they need automatic optimization of two optimizers, which Lightning 2 does not have |

The order in which a loader of pl_bolts shuffles is not recorded, so a resumed run sees other batches than an
uninterrupted one.
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
REPLACEMENTS = {
    "GAN": "VanillaGAN",
    "DCGAN": "DCGAN",
    "Pix2Pix": None,
    "SRGAN": None,
    "SRResNet": None,
}
"""The class of this library that replaces a GAN of pl_bolts, or None."""


def enable() -> None:
    """Make `import pl_bolts` work, and import it.

    Raises:
        UserError: if it is not installed.
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
    with warnings.catch_warnings(record=True):  # its warnings on every class ignore filters
        importlib.import_module(PACKAGE)


def adapted(target: Any) -> Any:
    """Return a class of pl_bolts, or a subclass or wrapper of it that works with this library.

    Raises:
        UserError: for its GANs; the text names the class to use instead.
    """
    from pytorch_lightning import LightningDataModule

    if not inspect.isclass(target):
        return target
    if target.__module__.startswith(f"{PACKAGE}.models.gans"):
        replacement = REPLACEMENTS.get(target.__name__)
        remedy = f"use {replacement} of the zoo" if replacement else "the zoo has nothing like it"
        if replacement == "DCGAN":
            remedy += "; zoo.hub.convert(..., source='lightning-bolts-DCGAN') converts its weights"
        raise UserError(
            f"{target.__name__} of pl_bolts does not train under Lightning 2, which has no automatic "
            f"optimization of two optimizers: {remedy}"
        )
    if target.__name__ in ("TensorboardGenerativeModelImageSampler", "LatentDimInterpolator"):
        return _adapt_callback(target)
    if issubclass(target, LightningDataModule):
        return _adapt_data_module(target)
    return target


def _named_as(original: type, adapted: type) -> type:
    """Give a class the name and the module of another, so that the recipe of a run names the original class."""
    for attribute in ("__module__", "__qualname__", "__name__"):
        setattr(adapted, attribute, getattr(original, attribute))
    return adapted


# --- data modules ----------------------------------------------------------------------------------------------------


def _adapt_data_module(original: Any) -> type:
    """Return a subclass of a data module whose images are in [-1, 1] and have the resolution that the user set."""

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
    """Convert images of pl_bolts to [-1, 1] and resize them.

    Args:
        images: images (B, C, H, W), in [-1, 1] if they are normalised, otherwise in [0, 1].
        is_normalised: whether the data module was built with `normalize`.
        resolution: height and width of the result in pixels; 0 keeps those of the images.
    """
    from torch.nn.functional import interpolate

    images = images if is_normalised else images * 2 - 1
    if resolution and images.shape[-1] != resolution:
        images = interpolate(images, size=(resolution, resolution), mode="bicubic", antialias=True)
    return images.clamp(-1, 1)


# --- callbacks -------------------------------------------------------------------------------------------------------


def _adapt_callback(original: Any) -> type:
    """Return a callback that calls one of the two generative callbacks at intervals in images seen.

    Its samples are drawn by the averaged generator.
    """
    from zoo.callbacks.every import Every

    _restore_range_argument(original)

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
                trainer_view = SimpleNamespace(logger=board, current_epoch=0, global_step=model.images_seen)
                self.bolts.on_train_epoch_end(trainer_view, _Sampler(model))

    # The check of a recipe reads this signature: `every`, then the original's parameters.
    parameters = inspect.signature(original.__init__).parameters.values()
    others = [p for p in parameters if p.name not in ("self", "interpolate_epoch_interval")]
    every = inspect.signature(Adapted.__init__).parameters["every"]
    self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    Adapted.__init__.__signature__ = inspect.Signature([self_, every, *others])  # type: ignore[attr-defined]
    hints = {p.name: p.annotation for p in others if p.annotation is not inspect.Parameter.empty}
    Adapted.__init__.__annotations__ = {"every": int, **hints, "return": None}
    return _named_as(original, Adapted)


def _interpolates(original: Any) -> bool:
    return "interpolate_epoch_interval" in inspect.signature(original.__init__).parameters


def _tensorboard(trainer: Any) -> Any:
    from pytorch_lightning.loggers import TensorBoardLogger

    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


class _Sampler:
    """The interface of a model that the callbacks of pl_bolts expect: called with latents, it returns images.

    Images are drawn by the averaged generator; classes are assigned in turn. Modes and buffers of the model are not
    changed.

    Args:
        model: the model in training.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.device = model, model.device
        self.hparams = SimpleNamespace(latent_dim=model.latent_dim)
        self.__class__ = type(type(model).__name__, (_Sampler,), {})  # the name of the class is in the picture's title

    def __call__(self, z: Any) -> Any:
        import torch

        from zoo.sampling.images import render

        classes = self.model.num_classes
        labels = torch.arange(len(z), device=z.device) % classes if classes else None
        return render(self.model, z, labels)

    def eval(self) -> None:
        """Do nothing: the averaged generator is always in evaluation mode."""

    def train(self) -> None:
        """Do nothing."""


def _restore_range_argument(original: Any) -> None:
    """Give the module of a callback a `make_grid` that takes `range`, which torchvision renamed `value_range`."""
    module = sys.modules[original.__module__]
    torchvision = getattr(module, "torchvision", None)
    if torchvision is None or isinstance(torchvision, SimpleNamespace):
        return

    def make_grid(*args: Any, **settings: Any) -> Any:
        if "range" in settings:
            settings["value_range"] = settings.pop("range")
        return torchvision.utils.make_grid(*args, **settings)

    module.torchvision = SimpleNamespace(utils=SimpleNamespace(make_grid=make_grid))  # type: ignore[attr-defined]
