"""Settings of a recipe as typed dictionaries, for completion in `zoo.fit("dcgan_digits", model={...})`.

Written by `recipes/write_typed_settings.py` from the signatures of the constructors; do not edit. A setting that only
some classes have is followed by their names. Whether the class of a run has a setting is checked by `zoo.fit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

ModelName = Literal[
    "BigGAN",
    "BigGANDeep",
    "DCGAN",
    "MixGAN",
    "ProGAN",
    "R3GAN",
    "VanillaGAN",
    "WGANGP",
]
ModelClass = TypedDict("ModelClass", {"class": ModelName | str | type}, total=False)


class ModelSettings(ModelClass, total=False):
    """Settings of all models."""

    resolution: int  # all but MixGAN
    channels: int  # all but MixGAN
    latent_dim: int  # all but MixGAN
    num_classes: int  # all but MixGAN
    generator_lr: float  # all but MixGAN
    discriminator_lr: float  # all but MixGAN
    betas: Sequence[float]  # all but MixGAN
    lr_schedule: Literal["constant", "linear", "cosine"]  # all but MixGAN
    lr_horizon: int  # all but MixGAN
    lr_final: float  # all but MixGAN
    lr_warmup: int  # all but MixGAN
    critic_steps: int  # all but MixGAN
    generator_steps: int  # all but MixGAN
    micro_batches: int  # all but MixGAN
    clip_norm: float  # all but MixGAN
    average_halflife: int  # all but MixGAN
    average_start: int  # all but MixGAN
    augment: str | Sequence[str]  # all but MixGAN
    augment_strength: float  # all but MixGAN
    augment_factors: Mapping[str, float] | None  # all but MixGAN
    ada_target: float  # all but MixGAN
    ada_speed: int  # all but MixGAN
    r1: float  # all but MixGAN
    r2: float  # all but MixGAN
    penalty_every: int  # all but MixGAN
    penalty_precision: Literal["float32", "mixed"] | None  # all but MixGAN
    seed: int
    width: int  # all but MixGAN
    shared_dim: int  # BigGAN, BigGANDeep
    skip_latents: bool  # BigGAN
    attention: int  # BigGAN, BigGANDeep
    initialisation: Literal["orthogonal", "normal"]  # BigGAN, BigGANDeep
    epsilon: float  # BigGAN, BigGANDeep
    objective: str  # all but MixGAN
    orthogonal: float  # BigGAN, BigGANDeep
    kernel_size: int  # DCGAN
    latent: Literal["auto", "normal", "uniform"]  # DCGAN
    discriminator_channels: int  # DCGAN
    packing: int  # DCGAN, VanillaGAN
    base: ModelSettings | str | Mapping[str, Any]  # MixGAN
    components: int  # MixGAN
    generators: int  # MixGAN
    discriminators: int  # MixGAN
    payoff: Literal["shared", "full"]  # MixGAN
    weight_update: Literal["exponentiated_gradient", "optimizer"]  # MixGAN
    weight_lr: float  # MixGAN
    entropy: float  # MixGAN
    regulariser: Literal["cross_entropy", "shannon"]  # MixGAN
    width_base: int  # ProGAN
    hold_images: int | Mapping[int, int]  # ProGAN
    fade_images: int  # ProGAN
    initial_resolution: int  # ProGAN
    r1_every: int  # ProGAN
    penalty: float  # ProGAN, WGANGP
    target_norm: float  # ProGAN
    drift: float  # ProGAN
    pixel_norm: bool  # ProGAN
    equalized: bool  # ProGAN
    variant: Literal["authors", "pytorch_GAN_zoo", "pytorch_GAN_zoo_old"]  # ProGAN
    widths: Sequence[int]  # R3GAN
    blocks: int  # R3GAN
    group_size: int  # R3GAN
    penalty_final: float  # R3GAN
    beta2_final: float  # R3GAN
    decay_images: int  # R3GAN
    layers: int  # VanillaGAN
    batch_norm: bool  # VanillaGAN, WGANGP
    discriminator_layers: int  # VanillaGAN
    discriminator_width: int  # VanillaGAN
    pieces: int  # VanillaGAN
    dropout: float  # VanillaGAN
    initial_deviation: float  # VanillaGAN
    architecture: Literal["auto", "resnet", "layer_norm", "convolutional"]  # WGANGP
    classification: float  # WGANGP
    generator_classification: float  # WGANGP
    generator_batch: int  # WGANGP
    dequantise: bool  # WGANGP


DataName = Literal[
    "Arrays",
    "CIFAR10",
    "CIFAR100",
    "CelebA",
    "Digits",
    "FashionMNIST",
    "Folder",
    "Grid",
    "HuggingFace",
    "ImageNet",
    "LSUN",
    "LitData",
    "MNIST",
    "Ring",
    "STL10",
    "SVHN",
    "StackedDigits",
    "StackedMNIST",
    "WebDataset",
    "Zip",
]
DataClass = TypedDict("DataClass", {"class": DataName | str | type}, total=False)


class DataSettings(DataClass, total=False):
    """Settings of all sources of images."""

    resolution: int
    channels: int
    batch_size: int | Mapping[int, int]
    held_out: float
    flip: bool
    num_workers: int
    seed: int
    split_seed: int
    root: str  # all but Digits, Grid, HuggingFace, Ring, StackedDigits, WebDataset
    labels: bool | None  # Arrays, Folder, Zip
    array: str  # Arrays
    label_array: str  # Arrays
    value_range: Sequence[float]  # Arrays, Folder, HuggingFace, LitData, WebDataset, Zip
    on_corrupt: Literal["raise", "skip"]  # all but Digits, Grid, Ring, StackedDigits, StackedMNIST
    background: str  # Arrays, Folder, HuggingFace, LitData, WebDataset, Zip
    cache: str  # all but Digits, Grid, Ring, StackedDigits
    download: bool  # CIFAR10, CIFAR100, CelebA, FashionMNIST, ImageNet, LSUN, MNIST, STL10, SVHN, StackedMNIST
    classes: Sequence[str]  # Folder, Zip
    match: str  # Folder, Zip
    group: str  # Folder, Zip
    samples: int  # Grid, Ring
    side: int  # Grid
    stream: bool | None  # HuggingFace, LitData, WebDataset
    window: int  # HuggingFace, LitData, WebDataset
    cache_limit: float  # HuggingFace, LitData, WebDataset
    name: str  # HuggingFace
    config: str  # HuggingFace
    split: str  # HuggingFace
    test_split: str  # HuggingFace
    image_column: str  # HuggingFace
    label_column: str  # HuggingFace
    category: str  # LSUN
    image_key: str  # LitData, WebDataset
    label_key: str  # LitData, WebDataset
    modes: int  # Ring
    triples: int  # StackedDigits, StackedMNIST
    all_digits: bool  # StackedMNIST
    urls: str  # WebDataset
    test_urls: str  # WebDataset
    copy: bool  # WebDataset


class TrainerSettings(TypedDict, total=False):
    """Arguments of Lightning's Trainer."""

    accelerator: str
    strategy: str
    devices: int | str | Sequence[int]
    num_nodes: int
    precision: Literal["bf16-mixed", "32-true", "auto"]
    max_time: str | Mapping[str, int] | None
    limit_test_batches: float | None
    limit_predict_batches: float | None
    overfit_batches: float
    log_every_n_steps: int | None
    deterministic: bool | Literal["warn"] | None
    benchmark: bool | None
    profiler: str | None
    detect_anomaly: bool
    sync_batchnorm: bool
    reload_dataloaders_every_n_epochs: int
    enable_autolog_hparams: bool
    model_registry: str | None
    threads: int | Literal["auto"]


class AlarmsSettings(TypedDict, total=False):
    """Settings of Alarms."""

    every: int
    rounds: int
    action: Literal["warn", "stop", "rollback"]
    keep_healthy: bool
    rollbacks: int
    lr_drop: float
    ignore: Sequence[str]
    classifier: str


class DualityGapEverySettings(TypedDict, total=False):
    """Settings of DualityGapEvery."""

    every: int
    images: int
    repeats: int
    seed: int


class MixtureReportSettings(TypedDict, total=False):
    """Settings of MixtureReport."""

    every: int
    samples: int
    seed: int


class RunProgressSettings(TypedDict, total=False):
    """Settings of RunProgress."""

    images: int
    line_seconds: float


class SampleGridSettings(TypedDict, total=False):
    """Settings of SampleGrid."""

    every: int
    rows: int
    columns: int
    seed: int
    minutes: float


class SampleMetricsSettings(TypedDict, total=False):
    """Settings of SampleMetrics."""

    every: int
    n: int
    metrics: Sequence[str]
    extractor: str
    options: Mapping[str, Any] | None
    select: str
    seed: int
    required: bool


class SaveEverySettings(TypedDict, total=False):
    """Settings of SaveEvery."""

    every: int
    keep: int
    minutes: float


class StopAtSettings(TypedDict, total=False):
    """Settings of StopAt."""

    images: int


class StopOnSignalSettings(TypedDict, total=False):
    """Settings of StopOnSignal."""


class CallbackSections(TypedDict, total=False):
    """Callbacks by name; None removes one."""

    Alarms: AlarmsSettings | Mapping[str, Any] | None
    DualityGapEvery: DualityGapEverySettings | Mapping[str, Any] | None
    MixtureReport: MixtureReportSettings | Mapping[str, Any] | None
    RunProgress: RunProgressSettings | Mapping[str, Any] | None
    SampleGrid: SampleGridSettings | Mapping[str, Any] | None
    SampleMetrics: SampleMetricsSettings | Mapping[str, Any] | None
    SaveEvery: SaveEverySettings | Mapping[str, Any] | None
    StopAt: StopAtSettings | Mapping[str, Any] | None
    StopOnSignal: StopOnSignalSettings | Mapping[str, Any] | None


class Overrides(TypedDict, total=False):
    """Sections and values that `zoo.fit` puts in place of the recipe's. A mapping stands for your own classes."""

    seed: int
    images: int
    pretrained: str
    model: ModelSettings | Mapping[str, Any]
    data: DataSettings | Mapping[str, Any]
    trainer: TrainerSettings | Mapping[str, Any]
    callbacks: CallbackSections | Mapping[str, Any] | None
    loggers: Mapping[str, Any] | None
