"""The peers of `peers.py`: how each repository's own networks and train step are built and run.

Nothing of their code is here. A peer is imported from the folder in which its repository lies; its networks are built
by the numbers of a row, and one cycle is what its own training function does, or what its training loop calls. What
today's torch refuses, and what only a GPU or another package could do, is worked around from outside, and noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import torch
from peer_program import Peer, by_names, count, in_order, scaled
from torch import Tensor, nn
from torch.nn import functional as f

from zoo import hub


class _GanZoo(Peer):
    """A model of pytorch_GAN_zoo: `optimizeParameters` of its `BaseGAN` is the cycle."""

    folders = ("pytorch_GAN_zoo",)
    address = "facebookresearch/pytorch_GAN_zoo"
    source: ClassVar[str]

    def take(self, gan: Any) -> None:
        """Name the parts of a model."""
        self.gan, self.generator, self.discriminator = gan, gan.netG, gan.netD
        self.optimizers = gan.optimizerG, gan.optimizerD

    def cycle(self) -> None:
        """Update both networks."""
        self.gan.optimizeParameters(self.next()[0])

    def converted(self, settings: dict[str, Any]) -> Any:
        """Return the zoo's model, by the conversion of this source's checkpoints."""
        state = {"netG": self.generator.state_dict(), "netD": self.discriminator.state_dict()}
        return hub.convert(state, self.source, **settings)


class GanZooDCGAN(_GanZoo):
    """DCGAN of pytorch_GAN_zoo."""

    source = "pytorch_GAN_zoo-DCGAN"
    notes = ("the targets of its cross entropy have the scores' shape (B, 1); (B,), as written, is refused by torch",)

    def build(self, settings: dict[str, Any]) -> None:
        """Build with the settings of its configuration file; only the depth is 2, which is 32 px."""
        module, losses = import_module("models.DCGAN"), import_module("models.loss_criterions.base_loss_criterions")
        losses.F = SimpleNamespace(
            tanh=torch.tanh, binary_cross_entropy=lambda x, y: f.binary_cross_entropy(x, y.view_as(x))
        )
        depth = settings["resolution"].bit_length() - 4
        sizes = {"dimG": settings["width"], "dimD": settings["width"], "depth": depth}
        self.take(
            module.DCGAN(
                settings["latent_dim"], **sizes, lossMode="DCGAN", useGPU=False, baseLearningRate=2e-4, lambdaGP=0.0
            )
        )


class GanZooProGAN(_GanZoo):
    """ProGAN of pytorch_GAN_zoo."""

    source = "pytorch_GAN_zoo-PGAN"
    notes = (
        "Adam's betas (0, 0.99) are given as floats, since torch refuses a mixture of integers and floats",
        "at 4x4 it has no blocks for larger images yet; for the count of parameters they are added",
    )

    def build(self, settings: dict[str, Any]) -> None:
        """Build with the settings of its configuration file, with all blocks and, if the row is at 4x4, without."""
        module = import_module("models.progressive_gan")
        module.optim = SimpleNamespace(
            Adam=lambda weights, betas, lr: torch.optim.Adam(weights, lr, (float(betas[0]), betas[1]))
        )

        def grown(resolution: int) -> Any:
            gan = module.ProgressiveGAN(
                settings["latent_dim"],
                depthScale0=settings["width"],
                miniBatchStdDev=True,
                lossMode="WGANGP",
                lambdaGP=10.0,
                epsilonD=0.001,
                useGPU=False,
            )
            for _ in range(resolution.bit_length() - 3):
                gan.addScale(settings["width"])
            return gan

        self.whole = whole = grown(settings["resolution"])
        self.take(whole if self.row.resolution == settings["resolution"] else grown(self.row.resolution))
        self.all_networks = whole.netG, whole.netD

    def parameters(self) -> tuple[int, int]:
        """Return the numbers of parameters of the grown networks."""
        return count(self.all_networks[0].parameters()), count(self.all_networks[1].parameters())

    def converted(self, settings: dict[str, Any]) -> Any:
        """Return the zoo's model: the grown networks are converted, with the small ones' weights where they are."""
        for small, network in zip((self.generator, self.discriminator), self.all_networks):
            network.load_state_dict({**network.state_dict(), **small.state_dict()})
        state = {"netG": self.all_networks[0].state_dict(), "netD": self.all_networks[1].state_dict()}
        return hub.convert(state, self.source, **{**settings, "variant": "pytorch_GAN_zoo"})


class LightningDCGAN(Peer):
    """DCGAN of lightning_gan_zoo: `training_step` of its LightningModule, in the loop of Lightning 1.2."""

    folders = ("lightning_gan_zoo",)
    address = "ebartrum/lightning_gan_zoo"
    placeholders = ("pytorch3d", "hydra", "core.submodules.tps_deformation")
    notes = (
        "hydra and pytorch3d are replaced by empty packages, and the configuration is given as Python objects",
        "today's Lightning has no optimizer_idx: as its version 1.2 did, each optimizer in turn gets a batch, with the "
        "other's parameters frozen; nothing is logged",
    )

    def build(self, settings: dict[str, Any]) -> None:
        """Build with the settings of conf/expt/dc_gan.yaml; the generator's number is half its last width."""
        networks, modules = import_module("core.models.standard_networks"), import_module("core.lightning_module")
        modules.instantiate = lambda make, *args, **kwargs: make(*args, **kwargs)
        size, width = settings["resolution"], settings["width"]
        adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
        cfg = SimpleNamespace(
            discriminator=partial(networks.Discriminator, 3, width, img_size=size, final_sigmoid=False),
            generator=partial(networks.Generator, settings["latent_dim"], 3, width // 2, img_size=size),
            train=SimpleNamespace(
                img_size=size, channels_img=3, data_mean=0.5, data_std=0.5, criterion=nn.BCEWithLogitsLoss
            ),
            model=SimpleNamespace(
                noise_distn=partial(torch.distributions.Normal, 0, 1), noise_dim=settings["latent_dim"]
            ),
            debug=SimpleNamespace(verbose_shape=False),
        )
        self.module = modules.DCGAN(cfg, "")
        self.module.log = lambda *args: None
        self.generator, self.discriminator = self.module.generator, self.module.discriminator
        self.optimizers = adam(self.discriminator.parameters()), adam(self.generator.parameters())

    def cycle(self) -> None:
        """Give a batch to each optimizer."""
        networks = self.discriminator, self.generator
        for index, optimizer in enumerate(self.optimizers):
            networks[1 - index].requires_grad_(False)
            loss = self.module.training_step(self.next(), 0, index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            networks[1 - index].requires_grad_(True)

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the tensors, whose order is the zoo's."""
        return in_order(self.generator, model.generator), in_order(self.discriminator, model.discriminator)


class MimicryWGANGP(Peer):
    """WGAN-GP of torch-mimicry: `train_step` of both networks, as its Trainer calls it with n_dis=5."""

    folders = ("torch-mimicry", "mimicry")
    address = "kwotsin/mimicry"
    placeholders = ("tensorflow", "skimage", "torch.utils.tensorboard")
    notes = (
        "tensorflow and skimage are replaced by empty packages",
        "while outputs are compared, maps are doubled with nearest neighbours (its own: bilinear), and the critic's "
        "ReLUs do not overwrite their input (its own do, so that its shortcuts get rectified maps)",
    )

    steps = 5

    def build(self, settings: dict[str, Any]) -> None:
        """Build with Adam as in the paper."""
        networks = import_module("torch_mimicry.nets.wgan_gp.wgan_gp_32")
        self.blocks, self.log = (
            import_module("torch_mimicry.modules.resblocks"),
            import_module("torch_mimicry.training.metric_log"),
        )
        self.generator = networks.WGANGPGenerator32(settings["latent_dim"], settings["width"])
        self.discriminator = networks.WGANGPDiscriminator32(settings["width"])
        adam = partial(torch.optim.Adam, lr=1e-4, betas=(0.0, 0.9))
        self.optimizers = adam(self.generator.parameters()), adam(self.discriminator.parameters())

    def cycle(self) -> None:
        """Take all steps of the critic and one of the generator."""
        generator, critic, log = self.generator, self.discriminator, self.log.MetricLog()
        for _ in range(self.steps):
            batch = self.next()
            critic.train_step(real_batch=batch, netG=generator, optD=self.optimizers[1], log_data=log)
        generator.train_step(real_batch=batch, netD=critic, optG=self.optimizers[0], log_data=log)

    @contextmanager
    def as_compared(self) -> Iterator[None]:
        """Double with nearest neighbours, and rectify out of place."""
        functions = SimpleNamespace(
            interpolate=lambda x, **kwargs: f.interpolate(x, scale_factor=2.0), avg_pool2d=f.avg_pool2d
        )
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(self.blocks, "F", functions))
            for module in self.discriminator.modules():
                if isinstance(module, nn.ReLU):
                    stack.enter_context(mock.patch.object(module, "inplace", False))
            yield

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the tensors by the zoo's names."""
        layers = {r"\.c1\.": ".convolution1.", r"\.c2\.": ".convolution2.", r"\.c_sc\.": ".shortcut."}
        norms = {r"\.b1\.": ".first.norm.", r"\.b2\.": ".second.norm.", r"^b5\.": "norm.norm."}

        def number(state: dict[str, Tensor], first: int, name: str) -> dict[str, Tensor]:
            return {re.sub(r"^block(\d)", lambda m: f"{name}.{int(m[1]) - first}", k): v for k, v in state.items()}

        generator = by_names(self.generator, {**layers, **norms, "^l1": "stem", "^c5": "last"})
        return number(generator, 2, "blocks"), number(
            by_names(self.discriminator, {**layers, "^l5": "readout"}), 1, "body"
        )


class BigGANPyTorch(Peer):
    """BigGAN of BigGAN-PyTorch, CIFAR-10 script: the function that its `GAN_training_function` returns."""

    folders = ("BigGAN-PyTorch",)
    address = "ajbrock/BigGAN-PyTorch"
    placeholders = ("h5py",)
    notes = ("h5py is replaced by an empty package, and the device is the CPU where the repository names cuda",)

    def build(self, settings: dict[str, Any]) -> None:
        """Build with the arguments of launch_cifar_ema.sh."""
        networks, training, utils = (import_module(name) for name in ("BigGAN", "train_fns", "utils"))
        config = vars(utils.prepare_parser().parse_args([]))
        config |= {"resolution": settings["resolution"], "n_classes": settings["num_classes"], "ema_start": 1000}
        config |= {"G_ch": settings["width"], "D_ch": settings["width"], "dim_z": settings["latent_dim"], "ema": True}
        config |= {"G_attn": "0", "D_attn": "0", "G_init": "N02", "D_init": "N02", "G_lr": 2e-4, "D_lr": 2e-4}
        config |= {"num_D_steps": settings["critic_steps"], "batch_size": self.row.batch_size}
        config |= {"G_activation": utils.activation_dict["relu"], "D_activation": utils.activation_dict["relu"]}
        self.generator, self.discriminator = networks.Generator(**config), networks.Discriminator(**config)
        average = networks.Generator(**{**config, "skip_init": True, "no_optim": True})
        ema = utils.ema(self.generator, average, config["ema_decay"], config["ema_start"])
        both = networks.G_D(self.generator, self.discriminator)
        z, y = utils.prepare_z_y(self.row.batch_size, self.generator.dim_z, config["n_classes"], device="cpu")
        self.optimizers = self.generator.optim, self.discriminator.optim
        self.steps, self.iteration = config["num_D_steps"], {"itr": 0}
        self.train = training.GAN_training_function(
            self.generator, self.discriminator, both, z, y, ema, self.iteration, config
        )

    def cycle(self) -> None:
        """Train on as many batches as the discriminator has steps."""
        images, labels = zip(*(self.next() for _ in range(self.steps)))
        self.iteration["itr"] += 1
        self.train(torch.cat(images), torch.cat(labels))

    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images."""
        images: Tensor = self.generator(z, self.generator.shared(labels))
        return images

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores."""
        return self.discriminator(images, labels).flatten()

    def converted(self, settings: dict[str, Any]) -> Any:
        """Return the zoo's model, by the conversion of this source's checkpoints."""
        state = {"G": self.generator.state_dict(), "D": self.discriminator.state_dict()}
        return hub.convert(state, "BigGAN-PyTorch", **settings)


class ProGANPyTorch(Peer):
    """ProGAN of pro_gan_pytorch: what its `train` calls for a batch."""

    folders = ("pro_gan_pytorch",)
    address = "akanimax/pro_gan_pytorch"
    placeholders = ("torch.utils.tensorboard",)
    notes = (
        "it does not import as it is: the name Tuple is supplied, and the output padding of its transposed convolution "
        "is 0, which it asks of torch by a call that torch no longer knows",
        "its widths, also of the discriminator's last layer, are capped at the row's width instead of 512",
        "while outputs are compared, the generator's first convolution is followed by a pixel norm (its own is not)",
    )

    def build(self, settings: dict[str, Any]) -> None:
        """Build with the settings of its `train`."""
        with mock.patch("builtins.Tuple", tuple, create=True):
            gans, networks, layers = (
                import_module(f"pro_gan_pytorch.{name}") for name in ("gan", "networks", "custom_layers")
            )
        layers.EqualizedConvTranspose2d._output_padding = lambda self, *args: self.output_padding
        networks.nf = partial(networks.nf, fmap_max=settings["width"])
        depth, width = settings["resolution"].bit_length() - 1, settings["width"]
        generator = networks.Generator(depth, latent_size=settings["latent_dim"])
        self.gan = gans.ProGAN(generator, networks.Discriminator(depth, latent_size=width))
        self.update_average, self.loss = gans.update_average, gans.WganGP()
        self.generator, self.discriminator = self.gan.gen, self.gan.dis
        adam = partial(torch.optim.Adam, lr=0.003, betas=(0.0, 0.99), eps=1e-8)
        self.optimizers = adam(self.generator.parameters()), adam(self.discriminator.parameters())
        self.stage = self.row.resolution.bit_length() - 1, 1

    def cycle(self) -> None:
        """Step the discriminator, average, step the generator, with the same latents and images at full resolution."""
        images, latents = next(self.batches)[0], torch.randn(self.row.batch_size, self.gan.latent_size)
        self.gan.optimize_discriminator(self.loss, self.optimizers[1], latents, images, *self.stage)
        self.update_average(self.gan.gen_shadow, self.gan.gen, beta=self.gan.ema_beta)
        self.gan.optimize_generator(self.loss, self.optimizers[0], latents, images, *self.stage)

    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images at the stage's resolution."""
        images: Tensor = self.generator(z, *self.stage)
        return images

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores."""
        scores: Tensor = self.discriminator(images, *self.stage)
        return scores

    def as_compared(self) -> AbstractContextManager[Any]:
        """Normalise between the first two convolutions."""
        block = self.generator.layers[0]
        handle = block.conv_2.register_forward_pre_hook(lambda module, args: (block.pixNorm(args[0]),))
        stack = ExitStack()
        stack.callback(handle.remove)
        return stack

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the tensors by the zoo's names; weights are scaled as the two libraries' gains differ."""
        depth = self.gan.depth
        end = depth - 2
        places = {f"layers.{i}.conv_{j}": f"blocks.{i - 1}.{j - 1}" for i in range(1, depth - 1) for j in (1, 2)}
        places |= {f"rgb_converters.{i}": f"to_rgb.{i}" for i in range(depth - 1)}
        generator = {**places, "layers.0.conv_1": "dense", "layers.0.conv_2": "first"}
        discriminator = {f"layers.{i}.conv_{j}": f"blocks.{end - 1 - i}.{j - 1}" for i in range(end) for j in (1, 2)}
        discriminator |= {f"from_rgb.{i}.0": f"from_rgb.{end - i}" for i in range(depth - 1)}
        discriminator |= {f"layers.{end}.conv_{j + 1}": n for j, n in enumerate(("last", "dense", "readout"))}
        return scaled(self.generator, model.generator, generator), scaled(
            self.discriminator, model.discriminator, discriminator
        )
