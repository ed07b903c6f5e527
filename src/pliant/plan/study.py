"""A `Study`: the five nets on one data set, trained and measured, and the settings of both."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pliant._checks import require, unknown
from pliant.plan.payload import SCHEMA, build, check_schema, check_types, identity, later, to_payload

DOWNSAMPLING = ("subsample", "max_pool", "average_pool", "strided", "strided_relu")
"""The five nets of Ruderman et al. 2018."""

MORE_DOWNSAMPLING = ("blur_pool", "max_blur_pool", "strided_blur", "aps", "lps", "permuted_pool")
"""What a net may have instead."""

PADDING_MODES = ("zeros", "circular")
METRICS = ("cosine", "euclidean")
PADDINGS = ("zeros", "border", "reflection")


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with Nesterov momentum under a one-cycle rate.

    `epochs`: passes over the training images; `batch_size`: images a step; `peak_rate`: the highest learning rate,
    reached after the share `warmup` of all steps and then lowered along a half cosine to 0; `weight_decay`: on every
    parameter; `flip`: mirror each image with probability 1/2; `crop`: pixels of zero padding from which an
    image-sized window is cut at random; `precision`: "fp32", "bf16" (autocast), or "auto", bf16 where it is faster.
    """

    epochs: int = 8
    batch_size: int = 128
    peak_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.25
    flip: bool = False
    crop: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_types(self)
        require(self.epochs >= 0, f"epochs={self.epochs}: must be 0 or more")
        require(self.batch_size >= 2, f"batch_size={self.batch_size}: batch norm needs at least 2 images a step")
        require(0 < self.peak_rate < math.inf, f"peak_rate={self.peak_rate}: must be positive and finite")
        require(0 <= self.warmup < 1, f"warmup={self.warmup}: a share of all steps, at least 0 and below 1")
        require(self.crop >= 0, f"crop={self.crop}: pixels of padding, 0 or more")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise unknown("precision", self.precision, ("auto", "fp32", "bf16"))


@dataclass(frozen=True)
class Measuring:
    """How sensitivity is measured: the thin-plate deformation, what stands outside the image, and the sample.

    `grid`: control points a side; `reach`: their largest displacement per axis, pixels; `padding`: "zeros", "border"
    or "reflection"; `images`: how many; `block`: images whose pairs share a median; `calibration`: images that
    calibrate batch norm; `replicates`, `level`: of the bootstrap interval.
    """

    metric: str = "cosine"
    grid: int = 3
    reach: float = 2.0
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    images: int = 256
    block: int = 128
    calibration: int = 512
    replicates: int = 1000
    level: float = 0.95

    def __post_init__(self) -> None:
        check_types(self)
        if self.metric not in METRICS:
            raise unknown("metric", self.metric, METRICS)
        require(self.grid >= 2, f"grid={self.grid}: a thin plate needs at least 2 control points a side")
        require(
            0 <= self.reach < math.inf, f"reach={self.reach}: the largest displacement, pixels, 0 or more and finite"
        )
        require(self.replicates >= 1, f"replicates={self.replicates}: a bootstrap needs at least 1")
        require(self.images >= 2, f"images={self.images}: a median over pairs needs at least 2 images")
        require(self.block >= 2, f"block={self.block}: a block needs at least 2 images")
        if self.padding not in PADDINGS:
            raise unknown("padding", self.padding, PADDINGS)
        require(0 < self.level < 1, f"level={self.level}: a confidence level lies between 0 and 1")


def check_net(downsampling: str, padding_mode: str, pool_skip: int) -> None:
    """Raise `InputError` for a downsampling or a padding mode that is not known, and for blocks below 0 pixels."""
    if downsampling not in (known := (*DOWNSAMPLING, *MORE_DOWNSAMPLING)):
        raise unknown("downsampling", downsampling, known)
    if padding_mode not in PADDING_MODES:
        raise unknown("padding_mode", padding_mode, PADDING_MODES)
    require(pool_skip >= 0, f"pool_skip={pool_skip}: pixels a side of the blocks, 1 or more, or 0 for none")


@dataclass(frozen=True)
class Study:
    """Nets that differ in their downsampling alone: trained on one data set, measured before and after.

    `data`: a data set's name or folder; `limit`: training images used, all if None; `downsampling`: one net each;
    `width`: factor on every layer's channels; `seed`: of initialisation, batches and deformations. `padding_mode`:
    what the convolutions see outside the map, "zeros" or "circular"; `pool_skip`: pixels a side of the blocks of a
    residual branch before each downsampling, 0 for none.
    """

    data: str = "digits"
    limit: int | None = None
    downsampling: tuple[str, ...] = DOWNSAMPLING
    width: float = 0.5
    seed: int = 0
    training: Training = field(default_factory=Training)
    measuring: Measuring = field(default_factory=Measuring)
    padding_mode: str = later("zeros")
    pool_skip: int = later(0)

    def __post_init__(self) -> None:
        check_types(self)
        require(bool(self.downsampling), "downsampling=(): name at least one, such as 'max_pool'")
        for name in self.downsampling:
            check_net(name, self.padding_mode, self.pool_skip)
        require(
            len(set(self.downsampling)) == len(self.downsampling), f"downsampling={self.downsampling}: name each once"
        )
        require(0 < self.width < math.inf, f"width={self.width}: a factor on the channels, above 0")
        require(0 <= self.seed < 1 << 64, f"seed={self.seed}: a seed is an integer from 0 to 2^64 - 1")
        require(self.limit is None or self.limit >= 2, f"limit={self.limit}: training needs at least 2 images")

    @cached_property
    def identity(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the plan's canonical JSON."""
        return identity(self)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back: the fields, and the schema version under "schema"."""
        return {"schema": SCHEMA, **to_payload(self)}

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> "Study":
        """The plan that `to_json` wrote. A newer schema or an unknown field raises `InputError`."""
        check_schema(payload)
        fields = {name: value for name, value in payload.items() if name != "schema"}
        fields["training"] = build(Training, fields.get("training", {}))
        fields["measuring"] = build(Measuring, fields.get("measuring", {}))
        return build(cls, fields)
