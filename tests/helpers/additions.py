"""The smallest working example of each kind of change that CONTRIBUTING.md names, as files and inserted lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Addition:
    """One change.

    Args:
        kind: as in the table of CONTRIBUTING.md.
        files: new files and their texts, by path.
        lines: (path, a line of that file, what is inserted above it).
        use: statements that use the change, and fail when it does not work.
    """

    kind: str
    files: dict[str, str] = field(default_factory=dict)
    lines: tuple[tuple[str, str, str], ...] = ()
    use: str = ""

    def apply(self, root: Path) -> None:
        """Write the files and insert the lines below a copy of the repository."""
        for name, text in self.files.items():
            assert not (root / name).exists(), name
            (root / name).write_text(text)
        for name, line, inserted in self.lines:
            text = (root / name).read_text()
            assert text.count(f"\n{line}") == 1, f"{name} has {text.count(line)} lines {line!r}"
            (root / name).write_text(text.replace(f"\n{line}", f"\n{inserted}\n{line}"))

    @property
    def touched(self) -> set[str]:
        """Paths of all files that it makes or changes."""
        return {*self.files, *(name for name, _, _ in self.lines)}


LOSS = Addition(
    "loss",
    lines=(
        (
            "zoo/training/objectives.py",
            "OBJECTIVES: dict[str, type[Objective]] = {",
            '''class Exponential(Objective):
    """Exponential loss."""

    undecided = 0.0

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E[exp(-r)] + E[exp(f)]."""
        return (-real).exp().mean() + fake.exp().mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return E[exp(-f)]."""
        return (-fake).exp().mean()

''',
        ),
        ("zoo/training/objectives.py", '    "hinge": Hinge,', '    "exponential": Exponential,'),
    ),
    use="""
model = zoo.DCGAN(16, 1, width=4, objective="exponential")
zero = torch.zeros(3)
assert model.objective.discriminator_value(zero, zero) == 2
assert model.objective.generator_value(zero) == 1
""",
)

LAYER = Addition(
    "layer",
    files={
        "zoo/layers/channel_scale.py": '''"""Scale of each channel, learnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelScale(nn.Module):
    """Multiply each channel by a learnt factor: (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        return x * self.factor[:, None, None]
'''
    },
    use="""
from zoo.layers.channel_scale import ChannelScale
layer = ChannelScale(2)
torch.nn.init.constant_(layer.factor, 3.0)
assert torch.equal(layer(torch.ones(1, 2, 4, 4)), torch.full((1, 2, 4, 4), 3.0))
""",
)

MODEL = Addition(
    "model",
    files={
        "zoo/models/linear_gan.py": '''"""A GAN of two linear maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.gan import GAN
from zoo.training.objectives import Hinge


class Generator(nn.Module):
    """Linear generator."""

    def __init__(self, resolution: int, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.map = nn.Linear(latent_dim, channels * resolution**2)
        self.shape = (channels, resolution, resolution)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) of latents (B, Z)."""
        return self.map(z).tanh().unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Linear discriminator."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.map = nn.Linear(pixels, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W)."""
        return self.map(images.flatten(1)).flatten()


class LinearGAN(GAN):
    """GAN of two linear maps. Unconditional."""

    def __init__(self, resolution: int = 16, channels: int = 1, latent_dim: int = 8, **training: Any) -> None:
        sizes = {"resolution": resolution, "channels": channels, "latent_dim": latent_dim}
        discriminator = Discriminator(channels * resolution**2)
        super().__init__(Generator(**sizes), discriminator, Hinge(), **sizes, **training)
        self.save_hyperparameters(logger=False)
''',
        "recipes/linear_gan_digits.yaml": """# Two linear maps on scikit-learn's digits.
seed: 0
images: 128
model: {class: LinearGAN}
data: {class: Digits, batch_size: 64}
trainer: {accelerator: cpu, precision: 32-true}
callbacks:
  SaveEvery: {every: 128}
""",
    },
    lines=(
        ("zoo/config/class_names.py", '    "MixGAN": ', '    "LinearGAN": "zoo.models.linear_gan.LinearGAN",'),
        ("zoo/__init__.py", '    "MixGAN": ', '    "LinearGAN": "zoo.models.linear_gan",'),
        ("zoo/__init__.py", '    "MixGAN",', '    "LinearGAN",'),
        (
            "zoo/__init__.py",
            "    from zoo.models.mix.mixgan import MixGAN",
            "    from zoo.models.linear_gan import LinearGAN",
        ),
    ),
    use="""
run = zoo.fit("linear_gan_digits", out="run")
assert type(run.model) is zoo.LinearGAN and run.model.images_seen == 128
loaded = zoo.load_run("run")
assert torch.equal(loaded.sample(4, seed=0), run.model.eval().sample(4, seed=0))
folder = loaded.save_pretrained("release")
assert type(zoo.from_pretrained("./release")) is zoo.LinearGAN
""",
)

METRIC = Addition(
    "metric",
    files={
        "zoo/metrics/mean_distance.py": '''"""Distance of means."""

from __future__ import annotations

from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures


class MeanDistance(StoredFeatures):
    """Euclidean distance between the mean features of real and generated samples."""

    higher_is_better = False

    def compute(self) -> dict[str, Tensor]:
        """Return `mean_distance`."""
        real, fake = self.features()
        return self.named(mean_distance=(real.mean(0) - fake.mean(0)).norm())
'''
    },
    lines=(
        (
            "zoo/metrics/__init__.py",
            "from zoo.metrics.mode_count import ",
            "from zoo.metrics.mean_distance import MeanDistance",
        ),
        ("zoo/metrics/__init__.py", '    "ModeCount",', '    "MeanDistance",'),
        (
            "zoo/evaluation/metric_table.py",
            '    "kid": MetricSpec(',
            '    "mean_distance": MetricSpec("distance of means", "values", {"mean_distance": False},\n'
            "                                lambda width, n, modes: metrics.MeanDistance()),",
        ),
    ),
    use="""
metric = zoo.metrics.MeanDistance()
metric.update(torch.zeros(5, 2), real=True)
metric.update(torch.tensor([[3.0, 4.0]]), real=False)
assert metric.compute()["mean_distance"] == 5
from zoo.evaluation.metric_table import METRICS, check_metrics
check_metrics(["mean_distance"])
assert METRICS["mean_distance"].make(2, 10, None).compute
""",
)

EXTRACTOR = Addition(
    "extractor",
    files={
        "zoo/features/brightness.py": '''"""Mean brightness of an image as its only feature."""

from __future__ import annotations

from torch import Tensor

from zoo.features.base_extractor import Extractor


class Brightness(Extractor):
    """Mean of all pixels, 0 to 1."""

    def __init__(self) -> None:
        protocol = {"network": "none", "layer": "mean", "weights": "none", "resize": "none", "input": "uint8"}
        super().__init__("brightness", 1, protocol)

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Return the mean (B, 1) of images (B, 3, H, W)."""
        return pixels.flatten(1).mean(1, keepdim=True) / 255, None
'''
    },
    lines=(
        (
            "zoo/features/__init__.py",
            "from zoo.features.cache import ",
            "from zoo.features.brightness import Brightness",
        ),
        ("zoo/features/__init__.py", '    "pixels": Pixels,', '    "brightness": Brightness,'),
    ),
    use="""
from zoo.features import extractor
white = extractor("brightness")(torch.ones(2, 1, 4, 4))
assert torch.equal(white, torch.ones(2, 1))
""",
)

DATA_SOURCE = Addition(
    "data source",
    files={
        "zoo/data/stripes.py": '''"""Images of stripes."""

from __future__ import annotations

import numpy as np

from zoo.data.images import Images
from zoo.data.pool import Pool, content_digest


class Stripes(Images):
    """Twenty images of stripes; the class of an image is the direction of its stripes."""

    def read(self) -> Pool:
        """Draw all images."""
        grey = np.arange(self.resolution, dtype=np.uint8)[:, None] % 2 * 255
        upright = np.broadcast_to(grey, (self.resolution, self.resolution))
        shape = (10, self.resolution, self.resolution, self.channels)
        images = np.concatenate([np.broadcast_to(one[..., None], shape) for one in (upright, upright.T)])
        labels = np.repeat(np.arange(2), 10)
        return Pool(images, labels, content_digest(images, labels), class_names=("upright", "level"))
'''
    },
    lines=(
        (
            "zoo/data/__init__.py",
            "    from zoo.data.torchvision_sets import ",
            "    from zoo.data.stripes import Stripes",
        ),
        ("zoo/data/__init__.py", '    "WebDataset": ', '    "Stripes": "zoo.data.stripes",'),
        ("zoo/data/__init__.py", '    "WebDataset",', '    "Stripes",'),
        ("zoo/config/class_names.py", '    "StackedDigits": ', '    "Stripes": "zoo.data.stripes.Stripes",'),
    ),
    use="""
from zoo.runs.recipes import load_recipe
changes = {"data": {"class": "Stripes", "resolution": 16, "channels": 1, "batch_size": 4}, "model": {"num_classes": 2}}
data = load_recipe("dcgan_digits", changes).data.build()
data.prepare_data()
data.setup("fit")
assert data.num_classes == 2 and len(data.train) + len(data.held_out) == 20
""",
)

ALARM = Addition(
    "alarm",
    lines=(
        (
            "zoo/alarms/named.py",
            '@alarm("dead gradient", "a smaller model.discriminator_lr; another loss")',
            '''@alarm("no difference")
def no_difference(now: Reading) -> str | None:
    """Raise the alarm when all images of fixed latents are equal."""
    return "all images of fixed latents are equal" if now.get("diversity", 1.0) == 0 else None


''',
        ),
    ),
    use="""
from zoo.alarms import ALARMS, Reading
assert ALARMS["no difference"](Reading({"diversity": 0.0}, {})) == "all images of fixed latents are equal"
assert ALARMS["no difference"](Reading({"diversity": 0.5}, {})) is None
""",
)

QUESTION = Addition(
    "audit question",
    files={
        "zoo/audit/questions/brightness.py": '''"""Brightness of generated images, compared with held-out ones."""

from __future__ import annotations

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Finding

QUESTION = "Are the images as bright as real ones?"


def run(evidence: Evidence) -> Finding:
    """Compare mean brightness."""
    builder = Builder("brightness", QUESTION)
    generated, held_out = (float(side.pixels.float().mean()) for side in (evidence.generated, evidence.held_out))
    builder.add_statistic("mean brightness", generated, null=held_out, n=len(evidence.generated))
    return builder.build("Their mean brightness is compared with that of held-out images.")
'''
    },
    lines=(("zoo/audit/questions/__init__.py", '    "weights",', '    "brightness",'),),
    use="""
from zoo.audit import audit, planted
images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
how = {"only": "brightness", "features": "pixels", "budget": "quick"}
report = audit(planted.Honest(images[40:]), images[:20], images[20:40], **how)
(statistic,) = report["brightness"].statistics
assert abs(statistic.value - 127.5) < 10 and abs(statistic.null - 127.5) < 10
""",
)

COMMAND = Addition(
    "command",
    files={
        "zoo/count.py": '''"""`python -m zoo.count checkpoint=RUN`: count the parameters of a model."""

from __future__ import annotations

from zoo.config.command_line import run_command


def main(checkpoint: str) -> None:
    """Count the parameters of a model.

    Args:
        checkpoint: a run, a checkpoint or a release.
    """
    from zoo.runs.opening import load_model

    print(f"{sum(p.numel() for p in load_model(checkpoint).generator.parameters()):,}")


if __name__ == "__main__":
    run_command("count", "zoo.count.main")
'''
    },
    lines=(
        ("zoo/__main__.py", '    "python -m zoo.hub": ', '    "python -m zoo.count checkpoint=RUN": "zoo.count.main",'),
        ("docs/packages.py", '        "evaluate",', '        "count",'),
    ),
    use="""
import contextlib, io, runpy, subprocess, sys
said = subprocess.run([sys.executable, "-m", "zoo"], capture_output=True, text=True, check=True).stdout
assert "python -m zoo.count checkpoint=RUN" in said and "Count the parameters of a model." in said
said = subprocess.run([sys.executable, "-m", "zoo.count", "--help"], capture_output=True, text=True, check=True).stdout
assert "a run, a checkpoint or a release" in said
model = zoo.from_pretrained("dcgan_digits")
sys.argv, said = ["count", "checkpoint=dcgan_digits"], io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    runpy.run_module("zoo.count", run_name="__main__")  # in this process, which has loaded torch
assert said.getvalue() == f"{sum(p.numel() for p in model.generator.parameters()):,}\\n"
""",
)

CONVERTER = Addition(
    "converter",
    files={
        "zoo/hub/converting/plain_mlp.py": '''"""A generator of one hidden layer, named as in a Sequential."""

from __future__ import annotations

from typing import Any

from zoo.hub.converting.tensors import Conversion, Networks
from zoo.models.vanilla import VanillaGAN


def convert(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert Linear, ReLU, Linear, Tanh to the generator of a VanillaGAN."""
    tensors = networks.any_generator()
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    generator = {f"body.{name}": tensors.take(name) for name in names}
    width, latent_dim = generator["body.0.weight"].shape
    resolution = round(len(generator["body.2.bias"]) ** 0.5)
    arguments = {"resolution": resolution, "latent_dim": latent_dim, "layers": 1, "width": width}
    return Conversion(VanillaGAN, arguments, generator=generator)
'''
    },
    lines=(
        (
            "zoo/hub/converting/__init__.py",
            "from zoo.hub.converting.tensors import ",
            "from zoo.hub.converting import plain_mlp",
        ),
        (
            "zoo/hub/converting/__init__.py",
            '    "pytorch-tutorial-DCGAN": ',
            '    "plain-mlp": (plain_mlp.convert, "a Sequential of Linear, ReLU, Linear, Tanh"),',
        ),
    ),
    use="""
net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 16), torch.nn.Tanh())
model = zoo.hub.convert(net.state_dict(), source="plain-mlp")
z = torch.randn(2, 3)
assert torch.allclose(model.generate(model.average, z, None), net(z).view(2, 1, 4, 4))
""",
)

ADDITIONS = (LOSS, LAYER, MODEL, METRIC, EXTRACTOR, DATA_SOURCE, ALARM, QUESTION, COMMAND, CONVERTER)
