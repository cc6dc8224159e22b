"""The smallest working data source, command and converter."""

from __future__ import annotations

from tests.helpers.additions.addition import Addition

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
