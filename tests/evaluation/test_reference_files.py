"""Published statistics, features and arrays of images in place of folders: what is read, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.helpers.metric_features import correlated
from zoo.config.command_line import run_command
from zoo.errors import UserError
from zoo.evaluation.reference_files import Statistics, read_reference, write_statistics
from zoo.features import extractor
from zoo.metrics import FID
from zoo.runs.measuring import evaluate as measure
from zoo.runs.measuring import main

N, D = 60, 2048


@pytest.fixture(scope="module")
def features() -> np.ndarray[Any, Any]:
    """Features of the width of the Inception network, float32."""
    return correlated(N, D, seed=1).numpy()


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def evaluate(*words: str) -> int:
    """Exit code of `python -m zoo.evaluate`, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def numbers(path: str = "numbers.json") -> dict[str, dict[str, Any]]:
    return {number["label"]: number for number in json.loads(Path(path).read_text())["rows"][0]["numbers"]}


def images(n: int, seed: int, size: int = 8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def save_folder(name: str, arrays: np.ndarray[Any, Any]) -> None:
    Path(name).mkdir()
    for i, array in enumerate(arrays):
        Image.fromarray(array).save(Path(name) / f"{i:03d}.png")


def statistics_of(rows: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)}


# --- files as the packages write them --------------------------------------------------------------------------------


def by_clean_fid(rows: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let clean-fid 0.1.35 write its files of a folder, with the given features in place of its network's."""
    cleanfid = pytest.importorskip("cleanfid.fid")
    monkeypatch.setattr(cleanfid.os.path, "dirname", lambda path: ".", raising=True)
    monkeypatch.setattr(cleanfid, "build_feature_extractor", lambda *args: None)
    monkeypatch.setattr(cleanfid, "get_folder_features", lambda *args, **settings: rows)
    with monkeypatch.context(), redirect_stdout(io.StringIO()):
        cleanfid.make_custom_stats("mine", "folder", mode="clean", device=None)
        cleanfid.make_custom_stats("mine", "folder", mode="legacy_pytorch", device=None)
    return sorted(Path("stats").iterdir())


def by_pytorch_fid(rows: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pytorch-fid 0.3.0 write its file of a folder, with the given features in place of its network's."""
    package = pytest.importorskip("pytorch_fid.fid_score")
    monkeypatch.setattr(package, "get_activations", lambda *args: rows.astype(np.float64))
    monkeypatch.setattr("pytorch_fid.inception.fid_inception_v3", lambda: empty_network())
    with redirect_stdout(io.StringIO()):
        package.save_fid_stats([".", "pf.npz"], 1, "cpu", 2048, 0)
    return Path("pf.npz")


def empty_network() -> Any:
    """Return the network of pytorch-fid without its weights, which would be downloaded."""
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False, aux_logits=False)


def by_torch_fidelity(rows: np.ndarray[Any, Any]) -> tuple[Path, Path]:
    """Let torch-fidelity 0.4.0 write statistics and features into its cache."""
    utils = pytest.importorskip("torch_fidelity.utils")
    from torch_fidelity.metric_fid import fid_features_to_statistics

    settings = {"cache": True, "cache_root": "cache", "verbose": False}
    name = "mine-inception-v3-compat-stat-fid-2048"
    utils.cache_lookup_one_recompute_on_miss(
        name, lambda: fid_features_to_statistics(torch.from_numpy(rows)), **settings
    )
    prefix = "mine-inception-v3-compat-features-"
    utils.cache_lookup_group_recompute_all_on_any_miss(
        prefix, ["2048"], lambda: {"2048": torch.from_numpy(rows)}, **settings
    )
    return Path("cache") / f"{name}.pt", Path("cache") / f"{prefix}2048.pt"


def test_files_of_clean_fid(features: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for path in by_clean_fid(features, monkeypatch):
        given = read_reference("real", path)
        mode = "clean" if "_clean_" in path.name else "legacy_pytorch"
        assert given.extractor == {"clean": "inception-clean", "legacy_pytorch": "inception-legacy-pytorch"}[mode]
        assert given.made_by == f"clean-fid, mode {mode}"
        if path.stem.endswith("_kid"):
            assert given.features is not None
            assert np.array_equal(given.features.numpy(), features)
        else:
            assert given.statistics is not None
            np.testing.assert_allclose(given.statistics.covariance, np.cov(features, rowvar=False))
    renamed = Path("stats/mine_clean_custom_na.npz").rename("ref.npz")
    assert read_reference("real", renamed).extractor == "inception-clean"  # a mean of float32 tells


def test_files_of_pytorch_fid_edm_and_adm_are_told_apart(
    features: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = features.astype(np.float64)
    np.savez("edm.npz", **statistics_of(wide))  # as EDM's fid.py ref
    spatial = statistics_of(wide[:, :23])
    np.savez("adm.npz", arr_0=images(4, 0), **statistics_of(features), mu_s=spatial["mu"], sigma_s=spatial["sigma"])
    for path, name, package in (
        (by_pytorch_fid(features, monkeypatch), "inception-legacy-pytorch", "pytorch-fid"),
        (Path("edm.npz"), "inception", "EDM"),
        (Path("adm.npz"), "inception", "ADM (guided-diffusion)"),
    ):
        given = read_reference("real", path)
        assert (given.extractor, given.made_by) == (name, package)
        assert given.statistics is not None
        np.testing.assert_allclose(given.statistics.mean, features.mean(0), rtol=1e-4, atol=1e-6)
    adm = read_reference("real", Path("adm.npz"))
    assert adm.spatial is not None
    np.testing.assert_allclose(adm.spatial.mean, wide[:, :23].mean(0))
    assert adm.images is not None
    assert adm.images.shape == (4, 8, 8, 3)


def test_the_cache_of_torch_fidelity(features: np.ndarray[Any, Any]) -> None:
    statistics, rows = (read_reference("real", path) for path in by_torch_fidelity(features))
    assert (statistics.extractor, statistics.made_by) == ("inception", "torch-fidelity")
    assert statistics.statistics is not None
    np.testing.assert_allclose(statistics.statistics.covariance, np.cov(features, rowvar=False))
    assert rows.features is not None
    assert np.array_equal(rows.features.numpy(), features)


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_the_distance_to_statistics_is_that_to_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    """The same real images as a folder, as their statistics of this library, and as mu and sigma alone."""
    real, fake = images(400, 1), images(300, 2)
    save_folder("real", real)
    save_folder("fake", fake)
    common = "fake=fake", "extractor=pixels", "metrics=fid", "out=numbers.json", "repeats=4"
    assert evaluate("real=real", "n_real=400", *common) == 0
    wanted = numbers()["FD-pixels"]["value"]
    assert evaluate("real=real", "extractor=pixels", "stats=ours.npz") == 0
    assert "statistics of 400 images in features of pixels: ours.npz" in capsys.readouterr().out
    rows = real.transpose(0, 3, 1, 2).reshape(400, -1) / 127.5 - 1
    np.savez("theirs.npz", **statistics_of(rows))
    for file, said in (("ours.npz", ""), ("theirs.npz", "nothing in theirs.npz says by which network")):
        assert evaluate(f"real={file}", *common) == 0
        found = numbers()["FD-pixels"]
        assert found["value"] == pytest.approx(wanted, rel=1e-6)
        assert found["low"] < found["value"] < found["high"]
        assert found["floor"] is None
        assert found["protocol"]["n_real"] == (400 if file == "ours.npz" else None)
        text = " ".join(capsys.readouterr().out.split())
        assert said in text
        assert "too few real images" not in text
        assert "have no 'real against real'" in text


def test_written_statistics_are_read_by_others(capsys: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("pytorch_fid.fid_score")
    real = images(40, 1)
    np.savez("real.npz", arr_0=real)
    assert evaluate("real=real.npz", "extractor=pixels", "stats=out.npz", "n=30") == 0
    mean, covariance = package.compute_statistics_of_path("out.npz", None, 1, 192, "cpu")
    given = read_reference("real", Path("out.npz"))
    assert given.statistics is not None
    assert given.statistics.n == 30
    assert given.statistics.protocol == {"extractor": "pixels", **extractor("pixels").protocol}
    assert given.statistics.about["versions"]["torch"]
    assert np.array_equal(mean, given.statistics.mean)
    assert np.array_equal(covariance, given.statistics.covariance)


@pytest.mark.parametrize("write", [np.save, lambda path, array: np.savez(Path(path).with_suffix(".npz"), array)])
@pytest.mark.parametrize("first", [False, True])
def test_arrays_of_images_are_folders_of_them(write: Callable[..., None], first: bool) -> None:
    real, fake = images(60, 1), images(50, 2)
    save_folder("real", real)
    save_folder("fake", fake)
    common = "extractor=pixels", "metrics=fid,kid,prdc", "out=numbers.json", "repeats=0"
    assert evaluate("real=real", "fake=fake", *common) == 0
    wanted = {label: number["value"] for label, number in numbers().items()}
    for name, side in (("real", real), ("fake", fake)):
        write(f"{name}.npy", side.transpose(0, 3, 1, 2) if first else side)
    ending = "npy" if write is np.save else "npz"
    for sides in ((f"real.{ending}", f"fake.{ending}"), ("real", f"fake.{ending}"), (f"real.{ending}", "fake")):
        assert evaluate(f"real={sides[0]}", f"fake={sides[1]}", *common) == 0
        assert {label: number["value"] for label, number in numbers().items()} == pytest.approx(wanted)


def test_features_in_a_file_allow_every_metric_of_features() -> None:
    """clean-fid's files for KID hold the features of single images."""
    real, fake = images(50, 1), images(40, 2)
    np.savez("fake.npz", arr_0=fake)
    np.savez("real.npz", arr_0=real)
    rows = (real.transpose(0, 3, 1, 2).reshape(50, -1) / 127.5 - 1).astype(np.float32)
    np.savez_compressed("feats.npz", feats=rows)
    common = "fake=fake.npz", "extractor=pixels", "metrics=fid,kid", "out=numbers.json", "repeats=0", "n_real=50"
    assert evaluate("real=real.npz", *common) == 0
    wanted = numbers()["FD-pixels"]["value"]
    assert evaluate("real=feats.npz", *common) == 0
    assert numbers()["FD-pixels"]["value"] == pytest.approx(wanted, rel=1e-6)
    assert numbers()["KD-pixels"]["protocol"]["reference"].startswith("feats.npz, sha256 ")


def test_a_file_with_both_gives_its_statistics_to_the_frechet_distance_alone() -> None:
    """As ADM's evaluator: FID to the statistics of the whole data set, precision and recall to the images beside."""
    network, every = extractor("pixels"), images(200, 1)
    floats = torch.from_numpy(every).permute(0, 3, 1, 2)
    metric = FID(192)
    metric.update(network(floats), real=True)
    given = Statistics(*_moments(metric), 200, {"extractor": "pixels", **network.protocol})
    write_statistics(Path("own.npz"), given)
    with np.load("own.npz") as content:
        np.savez("both.npz", arr_0=every[:40], **dict(content))
    np.save("fake.npy", images(50, 2))
    assert evaluate("real=both.npz", "fake=fake.npy", "extractor=pixels", "metrics=fid,kid", "out=numbers.json") == 0
    fid, kid = numbers()["FD-pixels"], numbers()["KD-pixels"]
    assert (fid["protocol"]["n_real"], kid["protocol"]["n_real"]) == (200, 40)
    assert fid["protocol"]["reference"].startswith("mean and covariance from both.npz")


def _moments(metric: FID) -> tuple[torch.Tensor, torch.Tensor]:
    total = metric.real_moments
    return total[0, 1:], total[1:, 1:] / (total[0, 0] - 1)


def test_a_model_is_measured_on_a_file_without_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = {"SampleGrid": None, "SampleMetrics": None}
    zoo.fit("dcgan_digits", out="run", images=640, model={"width": 4}, callbacks=callbacks)
    assert evaluate("checkpoint=run", "stats=digits.npz", "split=train") == 0
    capsys.readouterr()
    assert evaluate("checkpoint=run", "real=digits.npz", "out=numbers.json", "n=200", "repeats=0") == 0
    found = numbers()["FD-digits"]
    assert found["protocol"]["n_real"] == 1618
    assert found["protocol"]["model"] == "DCGAN"
    assert "the classes in equal shares" in " ".join(capsys.readouterr().out.split())
    on_data = measure("run", metrics="fid", split="train", n=200, n_real=1618, repeats=0, out="other.json")
    assert found["value"] == pytest.approx(on_data.rows[0]["numbers"][0].value, rel=0.05)  # other class shares
    assert measure("run", real="digits.npz", n=200, repeats=0).path.name == "000000000640-digits-digits.json"


# --- refusals --------------------------------------------------------------------------------------------------------


class Touch:
    """An object whose reading creates a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("touched"),)


def test_what_could_run_code_is_refused_unread() -> None:
    Path("edm2.pkl").write_bytes(pickle.dumps({"fid": Touch()}))
    np.savez("objects.npz", mu=np.array([Touch()], dtype=object), sigma=np.eye(1))
    torch.save({"mu": Touch()}, "objects.pt")
    for file, text in {
        "edm2.pkl": r"real: edm2\.pkl is refused: it is a pickle, as the reference files of EDM2.*numpy\.savez",
        "objects.npz": r"real: objects\.npz is refused: .*could run code",
        "objects.pt": r"real: objects\.pt is refused: .*could run code",
    }.items():
        with pytest.raises(UserError, match=text):
            read_reference("real", Path(file))
    assert not Path("touched").exists()


def damaged(name: str) -> None:
    content = bytearray(Path(name).read_bytes())
    content[len(content) // 2] ^= 4
    Path(name).write_bytes(bytes(content))


def test_damaged_and_wrong_files_are_refused_with_the_reason() -> None:
    eye, zeros = np.eye(4), np.zeros(4)
    np.savez("good.npz", mu=zeros, sigma=eye)
    for name in ("bits.npz", "cut.npz"):
        np.savez(name, mu=np.arange(400.0), sigma=np.eye(400))
    damaged("bits.npz")
    Path("cut.npz").write_bytes(Path("good.npz").read_bytes()[:300])
    torch.save({"mu": torch.arange(4000.0), "sigma": torch.eye(4000)}, "bits.pt")
    damaged("bits.pt")
    np.savez("square.npz", mu=zeros, sigma=np.eye(3))
    np.savez("nan.npz", mu=zeros * np.nan, sigma=eye)
    np.savez("skew.npz", mu=zeros, sigma=eye + np.triu(np.ones((4, 4)), 1))
    np.savez("whole.npz", mu=zeros.astype(int), sigma=eye)
    np.savez("other.npz", weights=eye)
    np.save("float.npy", np.zeros((9, 8, 8, 3), np.float32))
    np.save("channels.npy", np.zeros((9, 8, 8, 5), np.uint8))
    for file, text in {
        "bits.npz": "bits.npz is refused: it is damaged",
        "cut.npz": "cut.npz is refused: it is damaged",
        "bits.pt": "bits.pt is refused: it is damaged",
        "square.npz": r"mu \(D,\) and sigma \(D, D\) are needed; got \(4,\) and \(3, 3\)",
        "nan.npz": "mu or sigma hold NaN or infinity",
        "skew.npz": "sigma is no covariance: it is not symmetric",
        "whole.npz": "mu and sigma must be of floats; got int64",
        "other.npz": r"other.npz holds weights float64 \(4, 4\); wanted are mu and sigma, features",
        "float.npy": r"its images arr_0 are float32 \(9, 8, 8, 3\)\. Save them as uint8",
        "channels.npy": r"images must be \(N, H, W, C\) with 1 or 3 channels; got \(9, 8, 8, 5\)",
        "none.npz": r"there is no file none\.npz\. Give a folder",
    }.items():
        with pytest.raises(UserError, match=f"real: .*{text}"):
            read_reference("real", Path(file))
    assert read_reference("real", Path("good.npz")).statistics is not None


def test_the_command_says_what_does_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("ref.npz", mu=np.zeros(192), sigma=np.eye(192))
    np.savez("wide.npz", mu=np.zeros(2048, np.float32), sigma=np.eye(2048))
    np.save("fake.npy", images(20, 1))
    np.save("large.npy", images(20, 1, size=16))
    pixels = "fake=fake.npy", "extractor=pixels"
    for words, text in (
        (
            ("real=ref.npz", *pixels, "metrics=kid"),
            "metrics: kid needs the features of single real images; ref.npz holds",
        ),
        (
            ("real=wide.npz", *pixels),
            "wide.npz holds 2,048 features; extractor pixels has 192. It was most likely made by clean-fid: "
            "extractor=inception-clean. Both sides must have the same network",
        ),
        (("real=ref.npz", "fake=fake.npy"), "nothing in ref.npz says by which of the extractors it was made"),
        (("real=fake.npy", "fake=ref.npz", "extractor=pixels"), "fake: ref.npz holds 192 features, no images"),
        (
            ("real=large.npy", *pixels),
            "real: large.npy holds 20 images of 16 x 16 px, which are not resized here; the comparison is at 8 x 8 px",
        ),
        (("checkpoint=dcgan_digits", "real=fake.npy"), "beside checkpoint=RUN it must hold statistics or features"),
        (
            ("checkpoint=dcgan_digits", "real=ref.npz", "extractor=digits"),
            "ref.npz holds 192 features; extractor digits",
        ),
        (("checkpoint=dcgan_digits", "real=ref.npz", "metrics=cas"), "are about a run's own data, which real=FILE"),
        (("checkpoint=dcgan_digits", "real=folder"), "on published statistics: real=FILE.npz"),
        (("real=fake.npy", "stats=out.txt"), "stats: a file ending in .npz; got 'out.txt'"),
        (("real=fake.npy", "fake=fake.npy", "stats=out.npz"), "stats: give real=FOLDER or checkpoint=RUN"),
    ):
        assert evaluate(*words) == 2, words
        said = " ".join(capsys.readouterr().err.split())
        assert text in said, (words, said)
        assert "Traceback" not in said


def test_statistics_of_another_protocol_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("images.npy", images(30, 1))
    assert evaluate("real=images.npy", "extractor=pixels", "options.size=8", "stats=out.npz") == 0
    capsys.readouterr()
    assert evaluate("real=out.npz", "fake=images.npy", "extractor=pixels") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out.npz holds 192 features" in said or "out.npz was measured with extractor: pixels-8px" in said


def test_the_likely_protocol_is_compared_with_the_one_in_use(features: np.ndarray[Any, Any]) -> None:
    class Named(torch.nn.Module):
        name, width, protocol = "inception", D, {"network": "x"}

    np.savez_compressed("ref.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    (note,) = read_reference("real", Path("ref.npz")).check(Named())  # type: ignore[arg-type]
    assert "most likely made by clean-fid, which is extractor=inception-clean; measured with inception" in note
    assert "mixes two protocols" in note
    with zipfile.ZipFile("ref.npz") as archive:
        assert all(record.compress_type == zipfile.ZIP_DEFLATED for record in archive.infolist())


def test_a_changed_byte_in_a_compressed_file_is_no_traceback() -> None:
    """The compressed stream itself was damaged, which zlib says by an error of its own."""
    np.savez_compressed("whole.npz", arr_0=images(20, 1) // 32)
    content = bytearray(Path("whole.npz").read_bytes())
    content[100:170] = b"\xff" * 70
    Path("damaged.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"real: damaged\.npz is refused: it is damaged"):
        read_reference("real", Path("damaged.npz"))
