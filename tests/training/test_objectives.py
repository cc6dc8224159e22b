import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

import zoo
from zoo.training.batch import Batch
from zoo.training.objectives import OBJECTIVES, NonSaturating, Wasserstein, objective
from zoo.training.penalties import Scores, scores_and_gradient_norms

REAL, FAKE = torch.tensor([2.0, -0.5, 0.3]), torch.tensor([-1.0, 0.7, 3.0])


def test_cross_entropy_agrees_with_torch() -> None:
    loss = NonSaturating()
    ones, zeros = torch.ones(3), torch.zeros(3)
    expected = binary_cross_entropy_with_logits(REAL, ones) + binary_cross_entropy_with_logits(FAKE, zeros)
    torch.testing.assert_close(loss.discriminator_value(REAL, FAKE), expected)
    torch.testing.assert_close(loss.generator_value(FAKE), binary_cross_entropy_with_logits(FAKE, ones))


def test_the_minimax_value_at_a_discriminator_that_cannot_tell_is_2_log_2() -> None:
    zero = torch.zeros(5)
    assert float(NonSaturating().discriminator_value(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(objective("saturating").generator_value(zero)) == pytest.approx(-math.log(2))


def test_hinge_and_least_squares_by_hand() -> None:
    hinge, squares = objective("hinge"), objective("least_squares")
    assert float(hinge.discriminator_value(REAL, FAKE)) == pytest.approx((0 + 1.5 + 0.7) / 3 + (0 + 1.7 + 4.0) / 3)
    assert float(hinge.generator_value(FAKE)) == pytest.approx(-2.7 / 3)
    assert float(squares.discriminator_value(REAL, FAKE)) == pytest.approx((1 + 2.25 + 0.49) / 6 + (1 + 0.49 + 9) / 6)
    assert float(squares.generator_value(FAKE)) == pytest.approx((4 + 0.09 + 4) / 6)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"relativistic"}))
def test_the_undecided_score_minimises_the_loss_where_real_and_generated_images_are_the_same(name: str) -> None:
    loss = objective(name)
    assert loss.undecided is not None
    scores = torch.linspace(-2, 2, 401)[:, None] + loss.undecided
    values = torch.stack([loss.discriminator_value(score, score) for score in scores])
    assert values[200] == values.min()  # in the middle, at the undecided score
    torch.testing.assert_close(values, values.flip(0))  # which side an image is on makes no difference there


def test_a_critic_has_no_undecided_score() -> None:
    assert Wasserstein().undecided is None
    assert objective("relativistic").undecided is None  # only differences of its scores have a meaning
    assert (objective("least_squares").undecided, objective("hinge").undecided) == (0.5, 0.0)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_generator_wants_higher_scores(name: str) -> None:
    scores = torch.tensor([-0.4, 0.2], requires_grad=True)
    objective(name).generator_value(scores).backward()
    assert scores.grad is not None
    assert (scores.grad < 0).all()


def linear(weight: Tensor) -> Scores:
    def scores(*batches: Batch) -> tuple[Tensor, ...]:
        return tuple((batch.images.flatten(1) * weight).sum(1) for batch in batches)

    return scores


def test_the_penalty_of_a_linear_discriminator_is_its_squared_norm() -> None:
    weight = torch.randn(12, requires_grad=True)
    batch = Batch(torch.randn(5, 3, 2, 2))
    _, (penalty,) = scores_and_gradient_norms(linear(weight), (batch,), (True,))
    assert penalty is not None
    torch.testing.assert_close(penalty, weight.square().sum().expand(5))
    (gradient,) = torch.autograd.grad(penalty.mean(), weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())


def test_r1_adds_a_named_term_with_half_its_weight() -> None:
    weight = torch.ones(4)
    batch = Batch(torch.zeros(2, 1, 2, 2))
    terms = NonSaturating(r1=3.0).discriminator(linear(weight), batch, batch)
    assert set(terms) == {"adversarial", "r1"}
    assert float(terms["r1"]) == pytest.approx(0.5 * 3.0 * 4.0)


def test_the_penalty_is_computed_in_float32_under_autocast() -> None:
    layer = torch.nn.Linear(4, 1)

    def scores(*batches: Batch) -> tuple[Tensor, ...]:
        return tuple(layer(batch.images.flatten(1)).flatten() for batch in batches)

    with torch.autocast("cpu", torch.bfloat16):
        _, (penalty,) = scores_and_gradient_norms(scores, (Batch(torch.randn(3, 1, 2, 2)),), (True,))
    assert penalty is not None
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, layer.weight.detach().square().sum().expand(3))


def test_the_precision_of_a_penalty_is_checked_and_reaches_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="float32, or mixed for that of the networks in a bf16-mixed run; got 'bf16'"):
        zoo.WGANGP(resolution=16, width=4, penalty_precision="bf16")
    models = [
        zoo.WGANGP(resolution=16, width=4, penalty_precision="mixed"),
        zoo.ProGAN(resolution=8, width=4, latent_dim=4, initial_resolution=8, penalty_precision="mixed"),
        zoo.DCGAN(resolution=16, width=4, r1=1.0, penalty_precision="mixed"),
        zoo.MixGAN({"class": "WGANGP", "resolution": 16, "width": 4, "penalty_precision": "mixed"}, 2).pairs[0][1],
    ]
    dtypes: list[torch.dtype] = []
    inner = functional.conv2d  # of the layer of ours that all of them have

    def seen(x: Tensor, weight: Tensor, bias: Tensor | None, settings: Any) -> Tensor:
        y = inner(x, weight, bias, *settings[:3], settings[5])
        dtypes.append(y.dtype)
        return y

    monkeypatch.setattr("zoo.layers.convolution.convolve", seen)
    for model in models:
        real, fake = (Batch(torch.randn(4, 3, model.resolution, model.resolution)) for _ in range(2))
        for precision in ("mixed", "float32"):
            model.objective.penalty_precision = model.penalty_precision = precision  # type: ignore[union-attr]
            dtypes.clear()
            with torch.autocast("cpu", torch.bfloat16):
                model.scores(real)
                scored = len(dtypes)
                model.discriminator_loss(real, fake)
            wide = sum(dtype == torch.float32 for dtype in dtypes)
            assert wide == (0 if precision == "mixed" else scored), type(model)


def test_the_precision_of_a_penalty_is_that_of_its_objective_unless_it_is_given() -> None:
    small: dict[str, Any] = {"resolution": 16, "width": 4}
    assert zoo.WGANGP(**small).objective.penalty_precision == zoo.WGANGP(**small).penalty_precision == "mixed"
    assert zoo.WGANGP(**small, penalty_precision="float32").objective.penalty_precision == "float32"
    assert zoo.ProGAN(resolution=8, width=4, latent_dim=4).objective.penalty_precision == "mixed"
    assert zoo.ProGAN(resolution=8, width=4, latent_dim=4, objective="hinge").penalty_precision == "float32"
    assert zoo.DCGAN(**small, r1=1.0).objective.penalty_precision == zoo.DCGAN(**small).penalty_precision == "float32"
    assert zoo.DCGAN(**small, penalty_precision="mixed").objective.penalty_precision == "mixed"
    mixture = zoo.MixGAN({"class": "WGANGP", **small}, 2)
    assert {member.penalty_precision for member in (mixture, *(d for _, d in mixture.pairs))} == {"mixed"}


def test_two_models_of_one_objective_keep_their_own_penalties() -> None:
    shared = objective("hinge", r1=0.5)
    first, second = (
        zoo.GAN(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), shared, resolution=4, channels=1, latent_dim=1, r1=r1)
        for r1 in (1.0, 2.0)
    )
    assert [model.objective.r1 for model in (first, second)] == [1.0, 2.0]  # type: ignore[union-attr]
    assert shared.r1 == 0.5


def test_a_penalty_in_mixed_precision_has_nearly_the_gradient_of_one_in_float32() -> None:
    model = zoo.WGANGP(resolution=16, width=8)
    real, fake = (Batch(torch.randn(3, 3, 16, 16)) for _ in range(2))
    found = []
    for precision in ("float32", "mixed"):
        torch.manual_seed(1)  # the same points between the images
        model.objective.penalty_precision = precision  # type: ignore[assignment]
        with torch.autocast("cpu", torch.bfloat16):
            penalty = model.objective.gradient_penalty(model.scores, real, fake)
        weights = [w for w in model.discriminator.parameters() if w.ndim > 1]
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(penalty, weights)]))
    assert (found[0] - found[1]).norm() < 0.05 * found[0].norm()


def test_the_wasserstein_loss_by_hand() -> None:
    loss = Wasserstein()
    assert float(loss.discriminator_value(REAL, FAKE)) == pytest.approx((2.7 - 1.8) / 3)
    assert float(loss.generator_value(FAKE)) == pytest.approx(-2.7 / 3)
    with pytest.raises(ValueError, match="must be at least 0; got -1"):
        Wasserstein(penalty=-1)
    for norm in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"target_norm, .* must be above 0 and finite; got"):
            Wasserstein(target_norm=norm)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -0.1])
def test_a_weight_that_is_no_finite_number_is_refused(weight: float) -> None:
    message = f"must be at least 0( and finite)?; got {weight}"
    for make in (lambda: objective("hinge", r1=weight), lambda: Wasserstein(weight), lambda: Wasserstein(r2=weight)):
        with pytest.raises(ValueError, match=message):
            make()


def test_the_gradient_penalty_of_a_linear_critic_is_the_weighted_square_of_its_norm_less_one() -> None:
    weight = torch.randn(12, requires_grad=True)
    real, fake = (Batch(torch.randn(5, 3, 2, 2)) for _ in range(2))
    terms = Wasserstein(penalty=7.0).discriminator(linear(weight), real, fake)
    assert list(terms) == ["adversarial", "gradient_penalty"]
    norm = weight.detach().norm()
    torch.testing.assert_close(terms["gradient_penalty"], 7 * (norm - 1).square())
    (gradient,) = torch.autograd.grad(terms["gradient_penalty"], weight)
    torch.testing.assert_close(gradient, 7 * 2 * (norm - 1) * weight.detach() / norm)


def quadratic(*batches: Batch) -> tuple[Tensor, ...]:
    """Score each image by half its sum of squares: the gradient is the image itself."""
    return tuple(batch.images.square().flatten(1).sum(1) / 2 for batch in batches)


def expected_penalty(points: Tensor) -> Tensor:
    """Compute the penalty of `quadratic`: one norm for each image, over all its pixels, then the mean over images."""
    return 10 * torch.stack([(point.norm() - 1) ** 2 for point in points]).mean()


def test_each_image_has_one_norm_over_all_its_channels_and_pixels() -> None:
    images = torch.randn(6, 3, 2, 2)
    batch = Batch(images)  # real and generated are the same, so all points between are, too
    penalty = Wasserstein().gradient_penalty(quadratic, batch, batch)
    torch.testing.assert_close(penalty, expected_penalty(images))
    channel_norms = 10 * (images.norm(dim=1) - 1).square().mean()  # a norm for each pixel, as some code has it
    batch_norm = 10 * (images.norm() - 1).square()  # one norm for the whole batch
    assert (penalty - channel_norms).abs() > 1
    assert (penalty - batch_norm).abs() > 1


class Recorded:
    """Scores that record the batches they are asked for."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def __call__(self, *batches: Batch) -> tuple[Tensor, ...]:
        self.seen += batches
        return quadratic(*batches)


def test_each_pair_has_one_point_of_its_own_between_its_two_images() -> None:
    torch.manual_seed(0)
    scores, labels = Recorded(), torch.arange(400) % 7
    real = Batch(torch.zeros(400, 3, 2, 2), labels)
    fake = Batch(torch.arange(1.0, 401.0)[:, None, None, None].expand(-1, 3, 2, 2), labels)
    Wasserstein().gradient_penalty(scores, real, fake)
    (between,) = scores.seen
    assert between.labels is labels
    places = between.images.detach() / fake.images
    torch.testing.assert_close(places, places[:, :1, :1, :1].expand_as(places))  # the same at every pixel
    places = places[:, 0, 0, 0]
    assert len(places.unique()) == 400
    assert 0 <= places.min() < 0.02 < 0.98 < places.max() <= 1
    assert places.mean().item() == pytest.approx(0.5, abs=0.05)
    assert places.std().item() == pytest.approx(12**-0.5, abs=0.03)  # uniform


def test_the_gradient_of_the_penalty_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    start, readout = torch.randn(8, 4), torch.randn(8)
    real, fake = (Batch(torch.randn(5, 1, 2, 2)) for _ in range(2))

    def penalty(weight: Tensor) -> Tensor:
        torch.manual_seed(1)  # the same points between every time
        return Wasserstein().gradient_penalty(
            lambda *batches: tuple(softplus(b.images.flatten(1) @ weight.T) @ readout for b in batches), real, fake
        )

    weight = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(weight), weight)
    for _ in range(3):
        step = 0.01 * torch.randn(8, 4)
        difference = penalty(start + step) - penalty(start - step)
        assert difference.item() == pytest.approx(2 * (gradient * step).sum().item(), rel=0.01)


def test_a_critic_that_is_flat_gives_a_penalty_and_finite_gradients() -> None:
    weight = torch.zeros(4, requires_grad=True)
    batch = Batch(torch.randn(3, 1, 2, 2))
    penalty = Wasserstein().gradient_penalty(linear(weight), batch, batch)
    assert penalty.item() == 10
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_unknown_objectives_and_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"objective is one of non_saturating, .*; got 'wgan'"):
        objective("wgan")
    with pytest.raises(ValueError, match="must be at least 0; got -1"):
        objective("hinge", r1=-1)
