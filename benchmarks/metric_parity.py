"""Parity of metrics with the code of their authors and of other packages, on the same features, images and draws.

    python benchmarks/metric_parity.py sources=FOLDER [n=1500 width=96]

FOLDER holds the repositories of `SOURCES` at the commits named there, each in a folder with the repository's name.
Their code is imported from there and run as it is; only `mannwhitneyu`, which has changed since, gets flat distances.
Packages from PyPI are compared in `tests/metrics`. Features are correlated, of two distributions a little apart, the
generated ones with noise; images are uniform noise, blurred on one side. What is drawn at random is drawn with the same
seeds in the same order, or handed over. Recorded for each number: both values and their difference divided by the
reference's magnitude.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from metrics import features
from torch import Tensor

from zoo import metrics
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.metrics import sliced_wasserstein as swd
from zoo.metrics.ms_ssim import ms_ssim
from zoo.metrics.training_features import ThreeSets

RESULTS = Path(__file__).parent / "results" / "metric_parity.json"
SOURCES = {
    "ClippedDensityCoverage": "nicolassalvy/ClippedDensityCoverage at 9920dae001b04a63485ef1ff3ab002203ce5f939",
    "torch-fidelity": "toshas/torch-fidelity at 5e211a950a7b45206bd4976813ffd6aed6cf4ccc",
    "renyi-kernel-entropy": "mjalali/renyi-kernel-entropy at e97951b99f6b7270b80a486251e94f2809a4039c",
    "cmmd-pytorch": "sayakpaul/cmmd-pytorch at f7673a9f46320ac958878c19f7686e203376ad9d",
    "dgm-eval": "layer6ai-labs/dgm-eval at 74c79f7527fbf38fdccfbac51f25d759bc02ab07",
    "fld": "marcojira/fld at ffbbf2041115814fd1074f0117bcb96c5af840b7",
    "data-copying": "casey-meehan/data-copying at a0ba2db5b42d7f3b1093b44a9d42065f041a98d6",
    "progressive_growing_of_gans": "tkarras/progressive_growing_of_gans at 2504c3f3cb98ca58751610ad61fa1097313152bd",
}


class Peers:
    """The folder of repositories, from which modules are imported."""

    def __init__(self, folder: Path) -> None:
        missing = [name for name in SOURCES if not (folder / name).is_dir()]
        if missing:
            raise UserError(f"sources: {folder} has no folder {', '.join(missing)}; it needs one for each of SOURCES")
        self.folder = folder

    def module(self, repository: str, name: str) -> Any:
        """Import a module of a repository; other repositories have modules of the same names."""
        top = name.partition(".")[0]
        for known in [known for known in sys.modules if known == top or known.startswith(f"{top}.")]:
            del sys.modules[known]
        sys.path.insert(0, str(self.folder / repository))
        try:
            return import_module(name)
        finally:
            sys.path.pop(0)


def numbers(metric: metrics.FeatureMetric, real: Tensor, fake: Tensor, train: Tensor | None = None) -> dict[str, float]:
    """Return a metric's numbers."""
    if train is not None:
        assert isinstance(metric, ThreeSets)
        metric.update(train, real=True, train=True)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {name: float(value) for name, value in metric.compute().items()}


def of_features(peers: Peers, real: Tensor, fake: Tensor, train: Tensor) -> dict[str, tuple[float, float]]:
    """Compare metrics of features: the zoo's number and the reference's, by name."""
    found: dict[str, tuple[float, float]] = {}
    clipped = peers.module("ClippedDensityCoverage", "ClippedDensityCoverage.metrics.Clipped_Density_Coverage")
    theirs = clipped.ClippedDensityCoverage(real.double().numpy(), n_jobs=1)
    ours = numbers(metrics.ClippedDensityCoverage(), real, fake)
    found["clipped density"] = ours["clipped_density"], float(theirs.ClippedDensity(fake.double().numpy()))
    found["clipped coverage"] = ours["clipped_coverage"], float(theirs.ClippedCoverage(fake.double().numpy()))

    mind = peers.module("torch-fidelity", "torch_fidelity.metric_mind")
    settings = {"mind_num_projections": 200, "rng_seed": 3, "cuda": False, "verbose": False}
    reference = mind.mind_features_to_metric(fake, real, **settings)["monge_inception_distance"]
    found["MIND"] = numbers(metrics.MIND(200, seed=3), real, fake)["mind"], reference

    few = fake[:300].double().numpy()  # it is a double loop over pairs
    ours = numbers(metrics.RKE(), real, fake[:300])
    kernel = peers.module("renyi-kernel-entropy", "rke_score.rke").RKE(kernel_bandwidth=ours["rke_bandwidth"])
    found["RKE"] = ours["rke"], 1 / next(iter(kernel.compute_rke_mc_frobenius_norm(few).values()))

    cmmd = peers.module("cmmd-pytorch", "distance").mmd
    found["CMMD"] = (
        numbers(metrics.CMMD(), real, fake)["cmmd"],
        float(cmmd(real.double().numpy(), fake.double().numpy())),
    )
    unit = [torch.nn.functional.normalize(side.double()) for side in (real, fake)]
    ours = numbers(metrics.CMMD(normalise=True), real, fake)
    found["CMMD of directions"] = ours["cmmd"], float(cmmd(*(side.numpy() for side in unit)))

    percent = peers.module("dgm-eval", "dgm_eval.metrics.authpct").compute_authpct(train.numpy(), fake.numpy())
    found["authenticity"] = numbers(metrics.Authenticity(), train, fake)["authenticity"], percent / 100
    return found | of_three_sets(peers, real, fake, train)


def of_three_sets(peers: Peers, real: Tensor, fake: Tensor, train: Tensor) -> dict[str, tuple[float, float]]:
    """Compare metrics of training, held-out and generated features."""
    found: dict[str, tuple[float, float]] = {}
    for name in ("seaborn",):  # its figures are not drawn here
        sys.modules.setdefault(name, types.ModuleType(name))
    module = peers.module("fld", "fld.metrics.FLD")
    ours = numbers(metrics.FLD(centres=1000, seed=7), real, fake, train)
    torch.set_default_dtype(torch.float64)  # in float32 its fit moves the second digit
    try:
        for key, part in (("fld", "test"), ("fld_gap", "gap")):
            np.random.seed(7)
            theirs = module.FLD(part, gen_size=1000).compute_metric(train.double(), real.double(), fake.double())
            found[f"FLD, {part}"] = ours[key], float(theirs)
    finally:
        torch.set_default_dtype(torch.float32)

    copying = peers.module("data-copying", "data_copying_tests")
    from scipy.stats import mannwhitneyu
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    copying.mannwhitneyu = lambda x, y, **settings: mannwhitneyu(x.ravel(), y.ravel(), **settings)
    components = PCA(64, svd_solver="full").fit(train.double().numpy())
    sides = [components.transform(side.double().numpy()) for side in (real, fake, train)]
    cells = KMeans(3, n_init=10, random_state=0).fit(sides[2])
    labelled = [value for side in sides for value in (side, cells.predict(side))]
    theirs = copying.C_T(*labelled, tau=20 / len(fake))
    found["C_T"] = numbers(metrics.DataCopying(), real, fake, train)["ct"], float(theirs)
    return found


def of_images(peers: Peers) -> dict[str, tuple[float, float]]:
    """Compare metrics of images with the code of the progressive GAN."""
    found: dict[str, tuple[float, float]] = {}
    sys.modules["scipy.ndimage.filters"] = import_module("scipy.ndimage")  # under the name of 2018
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(0, 256, (2, 24, 3, 64, 64), dtype=torch.uint8, generator=generator)
    second = torch.nn.functional.avg_pool2d(second.float(), 3, 1, 1).round().to(torch.uint8)

    module = peers.module("progressive_growing_of_gans", "metrics.ms_ssim")
    sides = [side.permute(0, 2, 3, 1).numpy() for side in (second[::2], second[1::2])]
    found["MS-SSIM, 64 px"] = numbers(metrics.MSSSIM(), first, second)["ms_ssim"], float(module.msssim(*sides))
    small = [side[:, :16, :16] for side in sides]
    pairs = [torch.from_numpy(side).permute(0, 3, 1, 2).contiguous() for side in small]
    found["MS-SSIM, 16 px"] = float(ms_ssim(*pairs).mean()), float(module.msssim(*small))

    module = peers.module("progressive_growing_of_gans", "metrics.sliced_wasserstein")
    pyramids = [module.generate_laplacian_pyramid(side.numpy(), 3) for side in (first, second)]
    ours = [swd.laplacian_pyramid(side.float(), 3) for side in (first, second)]
    for level in range(3):
        theirs, mine = [], []
        for side in range(2):
            np.random.seed(side)
            drawn = module.get_descriptors_for_minibatch(pyramids[side][level], 7, 16)
            theirs.append(module.finalize_descriptors(drawn))
            mine.append(swd.standardised(swd.random_patches(ours[side][level], 16, np.random.RandomState(side))))
        np.random.seed(5)
        reference = float(module.sliced_wasserstein(*theirs, 4, 128)) * 1e3
        np.random.seed(5)
        metric = metrics.SlicedWasserstein()
        value = 1e3 * float(metric._distance(mine[0], mine[1], np.random.RandomState(5)))
        found[f"SWD, level {level}"] = value, reference
    return found


def compare(sources: str, n: int = 1500, width: int = 96) -> dict[str, Any]:
    """Compare all metrics and write the results.

    Args:
        sources: folder of the repositories.
        n: number of generated features; there are a little more real ones.
        width: number of features of a sample.
    """
    peers = Peers(Path(sources))
    real, fake, train = features(n + 100, width, 1), features(n, width, 2, shift=0.1), features(n + 50, width, 3)
    fake += 0.15 * torch.randn(fake.shape, generator=torch.Generator().manual_seed(4))
    parts: list[Callable[[], dict[str, tuple[float, float]]]] = [
        lambda: of_features(peers, real, fake, train),
        lambda: of_images(peers),
    ]
    values: dict[str, Any] = {}
    for part in parts:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = part()
        for name, (ours, reference) in found.items():
            difference = abs(ours - reference) / abs(reference)
            values[name] = {"zoo": ours, "reference": reference, "relative_difference": float(f"{difference:.1e}")}
            print(f"{name:28} {ours:<14.8g} {reference:<14.8g} {difference:.1e}", flush=True)
    packages = {name: version(name) for name in ("torch", "numpy", "scikit-learn", "scipy")}
    result = {
        "protocol": (__doc__ or "").strip(),
        "n": n,
        "width": width,
        "sources": SOURCES,
        "packages": packages,
        "values": values,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return result


def main(**arguments: Any) -> None:
    """Compare metrics with the code of their authors: sources=FOLDER n=1500 width=96."""
    compare(**checked_arguments(compare, arguments))


if __name__ == "__main__":
    run_command("benchmarks.metric_parity", main)
