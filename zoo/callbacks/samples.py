"""Sample grids of fixed latents during training."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from zoo.callbacks.every import Every
from zoo.data import Images
from zoo.gan import GAN
from zoo.io.room import spared
from zoo.io.run_folder import RunFolder, spread
from zoo.rendering import pictures
from zoo.sampling.grids import POINTS, columns_of, draw

STRIP_ROWS = 10
GIF_FRAMES = 60


class SampleGrid(Every):
    """Callback that draws a grid of samples from the same latents at regular intervals.

    The grids are saved as `samples/IMAGES.png` in the run folder and sent to TensorBoard. At the end of training,
    `samples/evolution.png` shows the first row of the grid over time, and `samples/evolution.gif` the entire grid. The
    columns of a conditional model show one class each. Before the first round, `samples/real.png` shows training images
    as the model gets them at full resolution, cut, on their background and mirrored, without augmentation.

    Args:
        every: interval in images seen.
        rows: number of rows.
        columns: number of columns; 0 means one for each class of a model with 2 to 16 classes, otherwise 10.
        seed: seed of the latents.
        minutes: longest time between two grids, in minutes; 0 for no limit.
    """

    def __init__(self, every: int, rows: int = 8, columns: int = 0, seed: int = 0, minutes: float = 5.0) -> None:
        super().__init__(every, minutes=minutes, at_start=True)
        if rows < 1 or columns < 0:
            raise ValueError(f"a grid needs at least 1 row and 0 or more columns; got {rows} and {columns}")
        self.rows, self.columns, self.seed = rows, columns, seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show training images and the untrained model, unless the run is resumed."""
        assert isinstance(pl_module, GAN)
        data = getattr(trainer, "datamodule", None)
        if trainer.is_global_zero and pl_module.images_seen == 0 and isinstance(data, Images):
            path = RunFolder(Path(trainer.default_root_dir)).real_grid
            columns = columns_of(pl_module, self.columns)
            count = POINTS if pl_module.resolution == 1 else self.rows * columns
            with spared("the picture of training images", path.parent):
                pictures.save(pictures.grid(data.preview(count), columns), path)
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Draw, save and log one grid, on rank 0."""
        if not trainer.is_global_zero:
            return
        picture = draw(model, self.rows, self.columns, self.seed)
        path = RunFolder(Path(trainer.default_root_dir)).sample_grid(model.images_seen)
        with spared("sample grids", path.parent):
            pictures.save(picture, path)
            self._log(trainer, model, picture)

    @staticmethod
    def _log(trainer: Trainer, model: GAN, picture: Image.Image) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
                pixels = pixels.view(picture.height, picture.width, 3).permute(2, 0, 1)
                logger.experiment.add_image("samples", pixels, model.images_seen)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final grid, and the evolution of the grid over the run."""
        super().on_train_end(trainer, pl_module)
        folder = RunFolder(Path(trainer.default_root_dir))
        paths = folder.sample_grids()
        if not trainer.is_global_zero or len(paths) < 2:
            return
        with spared("the evolution of the samples", folder.evolution_strip.parent):
            self._save_evolution(folder, paths, pl_module)

    def _save_evolution(self, folder: RunFolder, paths: list[Path], pl_module: LightningModule) -> None:
        frames = [Image.open(path).convert("RGB") for path in spread(paths, GIF_FRAMES)]
        pictures.save(
            frames[0], folder.evolution_animation, save_all=True, append_images=frames[1:], duration=150, loop=0
        )
        grids = [Image.open(path).convert("RGB") for path in spread(paths, STRIP_ROWS)]
        assert isinstance(pl_module, GAN)
        if pl_module.resolution == 1:
            strip = pictures.evolution(grids)
        else:
            strip = pictures.evolution(grids, (grids[0].height - pictures.MARGIN) // self.rows)
        pictures.save(strip, folder.evolution_strip)
