"""Truths of the numbers: names, floors, intervals, what is drawn for them, and the classification accuracy score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.training import tiny_biggan
from zoo.data import Digits, Ring
from zoo.data.images import Images
from zoo.data.pool import Split
from zoo.errors import DataError, FeatureError
from zoo.evaluation import (
    METRICS,
    Number,
    classification_accuracy_score,
    default_extractor,
    labels_like,
    measure_numbers,
    reference_features,
)
from zoo.evaluation.metric_table import SHARES, label_of
from zoo.evaluation.reference import with_training_features
from zoo.features import Features, cached_features, extractor, features_of
from zoo.io.progress import progress_goes_to
from zoo.metrics import distance_pass
from zoo.sampling.images import in_batches


def ready(data: Images) -> Images:
    data.setup()
    return data


def by_key(numbers: list[Number]) -> dict[str, Number]:
    return {number.key: number for number in numbers}


def measured(names: list[str], fake: Features, part: Any = "train", n: int = 400, **settings: Any) -> dict[str, Number]:
    network = extractor("digits")
    return by_key(
        measure_numbers(names, network, reference_features(ready(Digits()), part, network, n), fake, {}, **settings)
    )


def real_features(n: int, below: int = 10) -> Features:
    """Of real training images, drawn at random (neighbours in the set have one writer), of classes below a number."""
    split = ready(Digits()).train
    images, labels = split.tensor(), split.batch(torch.arange(len(split))).labels
    assert labels is not None
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    return features_of(extractor("digits"), images[order[labels[order] < below][:n]])


# --- generated images ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [7, 256])
def test_images_in_batches_are_those_of_model_sample(batch_size: int) -> None:
    model = tiny_biggan().eval()
    labels = torch.arange(20) % 3
    state = torch.get_rng_state()
    parts = list(in_batches(model, 20, seed=5, labels=labels, truncation=0.7, batch_size=batch_size))
    assert torch.equal(torch.get_rng_state(), state)
    assert max(map(len, parts)) <= batch_size
    torch.testing.assert_close(torch.cat(parts), model.sample(20, seed=5, labels=labels, truncation=0.7))
    free = torch.cat(list(in_batches(model, 20, seed=5, batch_size=batch_size)))
    torch.testing.assert_close(free, model.sample(20, seed=5))


def test_a_mixture_is_measured_by_its_weights() -> None:
    base = {"class": "VanillaGAN", "resolution": 4, "channels": 1, "latent_dim": 3, "layers": 1, "width": 8}
    model = zoo.MixGAN(base, 3).eval()
    with torch.no_grad():
        model.average.weights.copy_(torch.tensor([0.8, 0.0, 0.2]))
    images = torch.cat(list(in_batches(model, 50, seed=5, batch_size=7)))
    torch.testing.assert_close(images, model.sample(50, seed=5))
    members = torch.stack([model.sample(50, seed=5, component=i) for i in range(3)])
    nearest = (members - images).flatten(2).norm(dim=2).argmin(0)
    assert 30 <= int((nearest == 0).sum()) <= 48
    assert not int((nearest == 1).sum())


def test_labels_have_the_shares_of_the_real_images() -> None:
    counts = np.array([50, 25, 0, 25])
    labels = labels_like(counts, 1_000, seed=0)
    assert torch.bincount(labels, minlength=4).tolist() == [500, 250, 0, 250]
    assert labels[:20].tolist() != sorted(labels[:20].tolist())
    few = torch.bincount(labels_like(np.array([2, 1]), 10, seed=0), minlength=2).tolist()
    assert few == [7, 3]  # 6.67 and 3.33
    assert torch.equal(labels, labels_like(counts, 1_000, seed=0))


# --- real images -----------------------------------------------------------------------------------------------------


def test_reference_and_others_are_disjoint_and_the_same_every_time() -> None:
    data, network = ready(Digits()), extractor("pixels")
    reals = reference_features(data, "train", network, 700)
    assert (len(reals.reference), len(reals.additional or ())) == (700, 700)
    assert len(torch.cat([reals.reference.values, reals.combined.values[700:]]).unique(dim=0)) > 1_390  # twins exist
    again = reference_features(ready(Digits(seed=5)), "train", network, 700)
    assert torch.equal(reals.reference.values, again.reference.values)
    all_of_it = reference_features(data, "train", network, 1_500)
    assert (len(all_of_it.reference), len(all_of_it.additional or ())) == (1_500, 297)  # 118 of training, 179 held out
    held_out = reference_features(data, "held_out", network, 1_000)
    assert (len(held_out.reference), len(held_out.additional or ())) == (179, 1_000)


def test_a_part_without_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"no images in its held_out split.*split=train"):
        reference_features(ready(Digits(held_out=0)), "held_out", extractor("pixels"), 100)


def test_the_extractor_suits_the_data() -> None:
    assert [default_extractor(data) for data in (Digits(), Ring(samples=100))] == ["digits", "points"]


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_the_same_images_have_distance_0_and_precision_1() -> None:
    network = extractor("digits")
    reals = reference_features(ready(Digits()), "train", network, 400)
    found = by_key(measure_numbers(["fid", "prdc", "classes"], network, reals, reals.reference, {}))
    assert found["fid"].value == pytest.approx(0, abs=1e-6)
    assert found["precision"].value == found["recall"].value == 1
    assert found["class_distance"].value == found["classes_missing"].value == 0


def test_other_real_images_are_at_the_floor_and_noise_far_above() -> None:
    honest = measured(["fid", "kid"], real_features(300), n=300, repeats=3)
    noise = measured(["fid", "kid"], features_of(extractor("digits"), torch.rand(300, 1, 16, 16) * 2 - 1), n=300)
    for key in ("fid", "kid"):
        floor = honest[key].floor
        assert floor is not None
        assert noise[key].floor == floor
        assert honest[key].floor_n == (300, 300)
        assert noise[key].value > 10 * abs(floor)
    assert honest["fid"].value < 2 * (honest["fid"].floor or 0)
    assert honest["fid"].low is not None
    assert honest["fid"].low < honest["fid"].value < (honest["fid"].high or 0)


def test_the_interval_of_a_share_ends_at_0_and_1() -> None:
    found = measured(["prdc", "classes", "clipped", "authenticity"], real_features(60), repeats=4)
    shares = set(SHARES) - {"ms_ssim"}
    assert any(found[key].high == 1 or found[key].low == 0 for key in shares)  # few samples, wide intervals
    for key in shares:
        low, high = found[key].low, found[key].high
        assert low is not None
        assert high is not None
        assert 0 <= low <= found[key].value <= high <= 1


def test_dropped_classes_show() -> None:
    half = real_features(400, below=5)
    found, whole = measured(["prdc", "classes"], half), measured(["prdc", "classes"], real_features(400))
    assert found["recall"].value < 0.7 < 0.85 < whole["recall"].value
    assert found["precision"].value > 0.85
    assert found["class_distance"].value == pytest.approx(0.5, abs=0.06)
    assert found["classes_missing"].value >= 4  # the classifier mistakes one or the other digit


def test_too_few_real_images_give_a_floor_at_what_there_is() -> None:
    found = measured(["fid"], real_features(1_000), n=1_700)
    assert found["fid"].floor_n == (898, 898)  # half of all 1,797
    assert found["fid"].protocol["n_real"] == 1_618


def test_every_metric_gives_numbers_with_their_protocol() -> None:
    usual = {
        name: kind
        for name, kind in METRICS.items()
        if kind.input not in ("images", "spatial") and kind.train != "beside"
    }
    found = measured(list(usual), real_features(200), n=200, repeats=2)
    assert {key for kind in usual.values() for key in kind.keys} - {"high_quality"} == set(found)
    for number in found.values():
        assert {"extractor", "weights", "resize", "split", "n_real", "n_fake", "metric"} <= set(number.protocol)
        assert number.protocol["n_real"] == number.protocol["n_fake"] == 200
        assert number.label.endswith("-digits")
        assert number.floor is not None
        assert set(number.as_dict()) == set(vars(number))


def test_metrics_of_copying_compare_with_training_images_beside_held_out_ones() -> None:
    """Their floors: held-out images in place of generated ones, and where both are needed, halves of the held-out."""
    data, network = ready(Digits()), extractor("digits")
    held_out = reference_features(data, "held_out", network, 150)
    reals = replace(held_out, train=cached_features(network, data.train, np.arange(400)))  # few copies are of these
    found = by_key(measure_numbers(["fld", "ct", "authenticity"], network, reals, real_features(150), {}, repeats=2))
    assert set(found) == {"fld", "fld_gap", "ct", "authenticity"}
    assert [found[key].protocol["n_real"] for key in ("fld", "ct", "authenticity")] == [150, 150, 400]
    assert found["fld"].protocol["n_train"] == 400
    assert found["authenticity"].floor_n == (400, 150)
    assert found["fld"].floor_n == found["ct"].floor_n == (89, 89)  # of 179 held-out images
    assert 0.3 < (found["authenticity"].floor or 0) < 0.8
    copies = cached_features(network, data.train, np.arange(150))
    whole = with_training_features(held_out, data, network)  # all, however few samples are measured
    copied = by_key(measure_numbers(["fld", "ct", "authenticity"], network, whole, copies, {}))
    assert copied["ct"].value < -5 < found["ct"].value
    assert copied["fld"].protocol["n_train"] == 1618
    assert copied["authenticity"].value == 0
    assert copied["fld_gap"].value < found["fld_gap"].value - 10


@pytest.mark.parametrize(("name", "part"), [("fld", "train"), ("ct", "train"), ("mifid", "held_out")])
def test_metrics_of_copying_say_that_training_images_are_missing(name: str, part: Any) -> None:
    with pytest.raises(FeatureError, match=rf"metrics: {name} needs training images.* split={part} alone.*held_out"):
        measured([name], real_features(50), part, n=50)


def test_metrics_of_images_take_pixels() -> None:
    data, network = ready(Digits()), extractor("pixels")
    reals = reference_features(data, "train", network, 60)
    noise = features_of(network, torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    found = by_key(measure_numbers(["swd", "ms_ssim"], network, reals, noise, {}, repeats=2))
    assert set(found) == {"swd", "swd_16", "ms_ssim"}
    assert found["swd"].value == found["swd_16"].value > 3 * (found["swd"].floor or 0) > 0
    assert found["ms_ssim"].value < (found["ms_ssim"].floor or 0)  # noise varies more than digits
    assert found["ms_ssim"].low is not None
    with pytest.raises(FeatureError, match=r"ms_ssim is computed from images.* got extractor digits. Use extractor"):
        measured(["ms_ssim"], real_features(20), n=20)


def test_metrics_of_distances_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["prdc", "clipped", "cmmd", "rke", "authenticity", "mifid"]
    alone = {key: number for name in names for key, number in measured([name], real_features(80), n=100).items()}
    passes = []
    whole = distance_pass.distance_pass

    def counted(*given: Any) -> Any:
        passes.append(given)
        return whole(*given)

    monkeypatch.setattr(distance_pass, "distance_pass", counted)
    together = measured([*names, "fid"], real_features(80), n=100)
    assert len(passes) == 2  # the numbers and their floors
    for key, number in alone.items():
        assert together[key].value == pytest.approx(number.value, rel=1e-9), key
        assert together[key].floor == pytest.approx(number.floor, rel=1e-9), key
    passes.clear()
    measured(names, real_features(80), n=100, repeats=3)
    assert len(passes) == 2 + 3  # and one for each random half


def test_one_metric_that_refuses_is_named_among_those_it_shares_a_pass_with() -> None:
    fake = real_features(40)
    fake.values[3] = 0
    with pytest.raises(FeatureError, match=r"^metrics: cmmd: features of 1 generated samples are all 0: they have no"):
        measured(["prdc", "clipped", "cmmd"], fake, n=50)


def test_published_names_belong_to_the_published_network() -> None:
    assert [label_of(key, "inception") for key in ("fid", "kid", "is", "recall")] == [
        "FID",
        "KID",
        "IS",
        "recall-inception",
    ]
    assert label_of("fid", "inception-12345678") == "FD-inception-12345678"
    assert label_of("fid", "effnet-lite0") == "FD-effnet-lite0"


def test_modes_of_points_are_counted_by_their_centres() -> None:
    data = Ring(samples=2_000)
    data.setup()
    network = extractor("points")
    reals = reference_features(data, "train", network, 500)
    assert data.train.pool.labels is not None
    kept = data.train.pool.labels[data.train.indices] < 6
    fake = features_of(network, data.train.tensor()[torch.from_numpy(kept)][:500])
    found = by_key(
        measure_numbers(["modes"], network, reals, fake, {}, modes=(torch.from_numpy(data.centres), data.deviation))
    )
    assert found["modes"].value == 6
    assert found["modes"].floor == 8
    assert found["kl"].value == pytest.approx(float(np.log(8 / 6)), abs=0.03)
    assert found["high_quality"].value > 0.97


def test_faults_name_the_metric_and_the_remedy() -> None:
    with pytest.raises(FeatureError, match=r"no metric 'fidd'\. Did you mean fid\?"):
        measured(["fidd"], real_features(10))
    with pytest.raises(FeatureError, match=r"kid.* needs at least"):
        measured(["kid"], real_features(1))
    network = extractor("pixels")
    reals = reference_features(ready(Digits()), "train", network, 100)
    with pytest.raises(FeatureError, match=r"is needs classes, which extractor pixels does not have"):
        measure_numbers(["is"], network, reals, reals.reference, {})


# --- classification accuracy score -----------------------------------------------------------------------------------


def test_a_generator_that_lacks_a_class_scores_0_on_it_and_like_real_data_elsewhere() -> None:
    data = ready(Digits(resolution=8))
    labels = data.train.batch(torch.arange(len(data.train))).labels
    assert labels is not None
    images = data.train.tensor()
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def perfect_but_for_nines(classes: Tensor) -> list[Tensor]:
        assert torch.equal(classes, labels)  # as many as real ones, of the same classes
        return [torch.where((classes == 9)[:, None, None, None], noise, images)]

    state = torch.get_rng_state()
    found = classification_accuracy_score(perfect_but_for_nines, data.train, data.held_out, 10, epochs=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.reference > 0.9
    assert found.per_class[9] == 0
    assert (found.reference_per_class[9] or 0) > 0.7
    others = [score for score in found.per_class[:9] if score is not None]
    assert sum(others) / 9 > 0.9
    assert found.low < found.score < found.high < found.reference + 0.05
    assert found.protocol["n_train"] == 1_618


def test_a_generator_that_ignores_its_labels_scores_at_chance() -> None:
    data = ready(Digits(resolution=8))
    train = Split(data.train.pool, data.train.indices[:600])
    images = train.tensor()
    shuffled = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    told: list[tuple[str, int, int | None]] = []
    with progress_goes_to(lambda *said: told.append(said)):
        found = classification_accuracy_score(lambda classes: [shuffled], train, data.held_out, 10, epochs=2)
    assert found.score < 0.35
    for title in ("classifier on generated images", "classifier on real images"):  # 2 x 9 batches of 64
        assert [said[1:] for said in told if said[0] == title] == [(done, 18) for done in range(19)]


def test_data_without_labels_have_no_classification_accuracy() -> None:
    data = ready(Digits())
    with pytest.raises(FeatureError, match="needs labelled data and a conditional model"):
        classification_accuracy_score(lambda classes: [], data.train, data.held_out, 0)
