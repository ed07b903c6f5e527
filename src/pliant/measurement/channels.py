"""How much of a net's stability comes from pooling across channels. Tomasini et al. 2022."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant._table import Table
from pliant.deform import Deformation, ThinPlate
from pliant.measurement.blocks import all_in_one
from pliant.measurement.naming import metric_named
from pliant.measurement.one_pass import measure_each
from pliant.measurement.options import Options
from pliant.profile import Profile
from pliant.stats import percentile


@dataclass(frozen=True, eq=False, repr=False)
class ChannelPooling(Table):
    """Stability by layer as trained, and after the input channels of each convolution were permuted.

    trained, permuted: the profiles of the same images and deformations; that of the permuted model says so in its
    provenance ("changed"). left: the convolutions that stayed as they were, each with the reason.
    """

    trained: Profile
    permuted: Profile
    left: tuple[str, ...]

    @property
    def ratio(self) -> Float[np.ndarray, "layers 3"]:
        """permuted / trained of each layer, with the ends of its interval: a bootstrap over images, paired.

        1: all of the layer's stability survives, and comes from pooling in space. Above 1: some of it comes from
        pooling across channels. The default metric is of squared distances: 2 says that the layer is moved
        sqrt(2) = 1.41 times as far once its channels are permuted; of "euclidean", twice as far. NaN where undefined.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate = self.permuted.estimate / self.trained.estimate
            estimate[~np.isfinite(estimate)] = np.nan
            ends = np.full((len(estimate), 2), np.nan)
            above, below = self.permuted.replicates, self.trained.replicates
            if above is not None and below is not None and above.size:
                for layer in np.flatnonzero(np.isfinite(estimate)):
                    ends[layer] = percentile(above[layer] / below[layer], self.trained.level, self.trained.images)
        return np.column_stack((estimate, ends))

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer: layer_index, layer, metric, n; trained, permuted and ratio, each with _low and _high."""
        table = self.trained.to_pandas().drop(columns=["estimate", "low", "high"])
        for name, profile in (("trained", self.trained), ("permuted", self.permuted)):
            table[name], table[f"{name}_low"], table[f"{name}_high"] = profile.estimate, profile.low, profile.high
        table["ratio"], table["ratio_low"], table["ratio_high"] = self.ratio.T
        return table


def channel_pooling(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "deformation_stability",
    seed: int = 0,
    **options: Unpack[Options],
) -> ChannelPooling:
    """Which part of a net's stability survives when the input channels of each convolution are permuted.

    The layers are measured as they are, and again in `pliant.surgery.permuted_channels(model, seed)`, with the same
    images and deformations: what stability is left is pooled in space, the rest across channels. All convolutions are
    permuted, the first, which reads the channels of the image, included; batch norm keeps its statistics unless
    `batch_norm` says otherwise. Tomasini et al. 2022, arXiv:2210.01506.

    One permutation of each convolution is drawn. The intervals are over images, and hold nothing of the variance
    between permutations: measure with several seeds to see it.

    images: as of `measure`; read once and kept in memory.
    metric: one of those of `measure` that are 0 for what is invariant; the paper's D if not given.
    seed: of deformations and of permutations.
    deformation, layers and the other options: as of `measure`.

    Raises `InputError` as `measure` does, for a metric that is larger where a layer is more stable ("correlation",
    "consistency"), and for a model without a convolution that has channels to permute.
    """
    from pliant.surgery import permuted_channels  # which nothing else here needs

    require(
        not metric_named(metric).more_is_better,
        f"metric={metric!r}: the larger, the more stable, so that a ratio of it says nothing of pooling; choose "
        "another, such as 'deformation_stability'",
    )
    model = getattr(model, "_orig_mod", model)
    surgery = permuted_channels(model, seed)
    left = tuple(str(entry) for entry in surgery.left)
    require(
        bool(surgery.replaced),
        "; ".join(("the model has no convolution whose input channels could be permuted", *left)),
    )
    images = all_in_one(images)
    trained, permuted = (
        measure_each(one, images, deformation, layers, (metric,), seed, **options)[metric]
        for one in (model, surgery.model)
    )
    changed = f"input channels of {len(surgery.replaced)} convolutions permuted, seed {seed}"
    return ChannelPooling(trained, replace(permuted, provenance={**permuted.provenance, "changed": changed}), left)
