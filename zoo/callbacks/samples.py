"""Pictures of the same latents over time."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from zoo.callbacks.every import Every
from zoo.gan import GAN
from zoo.io.run_folder import RunFolder
from zoo.rendering import pictures
from zoo.sampling.grids import draw

STRIP_ROWS = 10
GIF_FRAMES = 60


class SampleGrid(Every):
    """Draws fixed latents every so many images: `samples/IMAGES.png` in the run folder, and TensorBoard.

    At the end `samples/evolution.png` shows the first row of the grid over time and `samples/evolution.gif` the whole
    of it. For a conditional model each column is one class, as far as there are columns.

    Args:
        every: in images seen.
        rows: of the grid.
        columns: of the grid; 0 takes one for each class of a model with 2 to 16 classes, else 10.
        seed: of the latents.
    """

    def __init__(self, every: int, rows: int = 8, columns: int = 0, seed: int = 0) -> None:
        super().__init__(every, at_start=True)
        if rows < 1 or columns < 0:
            raise ValueError(f"a grid needs at least 1 row and 0 or more columns; got {rows} and {columns}")
        self.rows, self.columns, self.seed = rows, columns, seed

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Draw, save and log one grid."""
        if not trainer.is_global_zero:
            return
        picture = draw(model, self.rows, self.columns, self.seed)
        pictures.save(picture, RunFolder(Path(trainer.default_root_dir)).sample_grid(model.images_seen))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
                pixels = pixels.view(picture.height, picture.width, 3).permute(2, 0, 1)
                logger.experiment.add_image("samples", pixels, model.images_seen)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final grid and what led to it."""
        super().on_train_end(trainer, pl_module)
        folder = RunFolder(Path(trainer.default_root_dir))
        found = folder.sample_grids()
        if not trainer.is_global_zero or len(found) < 2:
            return
        frames = [Image.open(path).convert("RGB") for path in spread(found, GIF_FRAMES)]
        pictures.save(
            frames[0], folder.evolution_animation, save_all=True, append_images=frames[1:], duration=150, loop=0
        )
        moments = [Image.open(path).convert("RGB") for path in spread(found, STRIP_ROWS)]
        assert isinstance(pl_module, GAN)
        if pl_module.resolution == 1:
            strip = pictures.evolution(moments)
        else:
            strip = pictures.evolution(moments, (moments[0].height - pictures.MARGIN) // self.rows)
        pictures.save(strip, folder.evolution_strip)


def spread(paths: list[Path], count: int) -> list[Path]:
    """At most `count` of the paths, evenly spaced, the first and the last among them."""
    if len(paths) <= count:
        return paths
    return [paths[round(i * (len(paths) - 1) / (count - 1))] for i in range(count)]
