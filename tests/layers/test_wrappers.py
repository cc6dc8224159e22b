"""Networks in wrappers: torch.compile and DataParallel. Row M5."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import zoo
from tests.helpers.training import tiny_mlp, train
from zoo.audit.questions.weights import chosen
from zoo.audit.zoo_model import ZooModelAdapter
from zoo.errors import CheckpointError
from zoo.io.checkpoints import load_weights


def compiled(network: nn.Module) -> nn.Module:
    return torch.compile(network, backend="eager")


WRAPPERS = {
    "compile": compiled,
    "parallel": nn.DataParallel,
    "both": lambda network: compiled(nn.DataParallel(network)),
}


def tiny_dcgan() -> zoo.DCGAN:
    torch.manual_seed(0)
    return zoo.DCGAN(resolution=16, channels=1, width=4, latent_dim=4)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_model_trains_saves_and_loads_like_a_plain_one(wrapper: str, tmp_path: Path) -> None:
    """Row M5: run checkpoint, release, and a resume in either direction have the tensors of the plain model."""
    plain, wrapped = tiny_dcgan(), tiny_dcgan()
    for side in ("generator", "discriminator", "average"):
        setattr(wrapped, side, WRAPPERS[wrapper](getattr(wrapped, side)))
    train(plain, 4, tmp_path)
    trainer = train(wrapped, 4, tmp_path)
    expected, found = plain.state_dict(), wrapped.state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)

    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = zoo.DCGAN.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    opened = zoo.load_run(tmp_path / "x.ckpt")
    released = zoo.from_pretrained(wrapped.save_pretrained(tmp_path / "release"))
    images = wrapped.eval().sample(4, seed=0)
    for model in (loaded, opened, released):
        torch.testing.assert_close(model.eval().sample(4, seed=0), images)

    wrapped.load_state_dict(tiny_dcgan().state_dict())
    torch.testing.assert_close(wrapped.sample(4, seed=0), tiny_dcgan().eval().sample(4, seed=0))


def tiny_mixture() -> zoo.MixGAN:
    torch.manual_seed(0)
    return zoo.MixGAN({"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4, "latent_dim": 4}, components=2)


def test_a_mixture_is_compiled_in_place(tmp_path: Path) -> None:
    """Row M5: the members of a mixture are compiled; it trains and saves like a plain one."""
    plain, model = tiny_mixture(), tiny_mixture()
    for side in ("generator", "discriminator", "average"):
        getattr(model, side).compile(backend="eager")
    assert all(member._compiled_call_impl is not None for member in model.generator.members)
    train(plain, 2, tmp_path)
    train(model, 2, tmp_path)
    assert list(model.state_dict()) == list(plain.state_dict())
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_around_a_mixture_is_refused(wrapper: str) -> None:
    """Row M5: `torch.compile` around the networks of a MixGAN ended in an assertion."""
    model = tiny_mixture()
    told = r"generator of a MixGAN is a mixture of networks; got a \w+. To compile .*: model.generator.compile\(\), in"
    with pytest.raises(TypeError, match=told):
        model.generator = WRAPPERS[wrapper](model.generator)


def test_a_checkpoint_with_the_names_of_a_compiled_network_is_read() -> None:
    """Row M5: such checkpoints were written before names were plain."""
    model = tiny_dcgan()
    old = {name.replace("generator.", "generator._orig_mod."): t + 1 for name, t in model.state_dict().items()}
    load_weights(model, {"state_dict": old}, "old.ckpt")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, old[name.replace("generator.", "generator._orig_mod.")])


def test_a_part_of_a_network_may_be_called_module() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(3, 16)

        def forward(self, z: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
            return self.module(z).view(-1, 1, 4, 4)

    model = tiny_mlp()
    model.generator = Named()
    assert "generator.module.weight" in model.state_dict()


def test_the_audit_sees_the_weights_of_a_wrapped_model() -> None:
    """Sibling of row M5: layers of a compiled network were left out of the question about the weights."""
    model = tiny_dcgan()
    names = [entry[:2] for entry in chosen(ZooModelAdapter(model))]
    model.generator, model.discriminator = compiled(model.generator), nn.DataParallel(model.discriminator)
    model.average = compiled(model.average)
    assert [entry[:2] for entry in chosen(ZooModelAdapter(model))] == names


def test_compiling_leaves_the_class_embedding_out_of_the_orthogonal_regularisation() -> None:
    """Sibling of row M5: the embedding is excluded by its name."""
    torch.manual_seed(0)
    model = zoo.BigGAN(16, width=8, num_classes=3, shared_dim=4, latent_dim=8, attention=0, orthogonal=1.0).eval()
    batch = zoo.Batch(torch.zeros(2, 3, 16, 16), torch.tensor([0, 1]))
    expected = model.generator_loss(batch, batch)["orthogonal"]
    model.generator = compiled(model.generator)
    assert torch.equal(model.generator_loss(batch, batch)["orthogonal"], expected)


def test_a_parametrised_network_is_told_apart_from_another_architecture(tmp_path: Path) -> None:
    """Sibling of row M5: a parametrisation changes what is computed, so its tensors are not renamed but explained."""
    model = tiny_mlp()
    weight_norm(model.discriminator.body[1].linear)
    with pytest.raises(CheckpointError, match=r"parametrizations.*__init__ of VanillaGAN"):
        load_weights(tiny_mlp(), {"state_dict": model.state_dict()}, tmp_path / "x.ckpt")
