"""The smallest working metric, extractor, alarm and audit question."""

from __future__ import annotations

from tests.helpers.additions.addition import Addition

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
