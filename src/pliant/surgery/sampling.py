"""A model whose subsampling follows the image. Chaman and Dokmanic 2020."""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar, final

from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant.nets import APS, AveragePool, BlurPool, MaxBlurPool, MaxPool, PermutedPool
from pliant.nets.phases import largest_phase, take_phase
from pliant.surgery.branches import Alike, follow
from pliant.surgery.outcome import Left, Replaced, Surgery
from pliant.surgery.placing import Place, attach, hooked, replace_module
from pliant.surgery.structure import Wiring
from pliant.surgery.subsampling import (
    Pool,
    described,
    opaque,
    others,
    pair,
    pools,
    stride_of,
    strided_convolutions,
    whole_model,
)
from pliant.surgery.wrapping import Margins, Wrap, margins_of

Model = TypeVar("Model", bound=nn.Module)
Layer = nn.Conv2d | Pool

_OWN = (BlurPool, MaxBlurPool, PermutedPool)


def adaptive_sampling(model: Model) -> Surgery[Model]:
    """A copy of the model that subsamples by `APS`, with a report; the given model is unchanged.

    Convolutions and pools with a stride run at every pixel; behind the activation that follows, each image keeps the
    grid of pixels with the largest norm. Where branches are added or joined, they take the grid that the first of them
    to run has chosen. Convolutions and pools see the map wrapped around, where they saw zeros: with sizes that the
    strides divide, and a global average at the end, a circular shift of the image then changes nothing.
    Chaman and Dokmanic 2020, arXiv:2011.14214.

    All weights keep their values and names, `state_dict()` its keys, and outputs their shapes for sizes that the
    strides divide; other sizes raise `InputError` in the forward pass. A convolution costs the square of its stride
    more. Trained weights have seen zeros outside the map: measure, or train on. The choices of one forward pass are
    held by the model until the next one, so threads must not share a model.

    Which branches meet is read off the traced forward pass; of a model that cannot be traced all is left. Left, too,
    and listed with the reason: strides above 4, layers whose output is not their input over the stride, branches that
    meet after different strides, layers used several times, layers derived from torch's that compute in a way of their
    own, functional calls, layers whose forward cannot be traced, for they may subsample. What subsamples by reshaping
    is not seen.
    """
    changed = copy.deepcopy(model)
    if left_whole := whole_model(changed):
        return Surgery(changed, (), left_whole)
    wiring = Wiring.of(changed)
    strided: dict[str, Layer] = {**dict(strided_convolutions(changed)), **dict(pools(changed))}
    other = dict(others(wiring, _OWN))
    if wiring.graph is None:
        why = f"{wiring.why}, so that it is not known which branches meet"
        what = {name: described(layer) for name, layer in strided.items()} | other
        return Surgery(changed, (), (*(Left(name, said, why) for name, said in what.items()), *opaque(wiring)))
    alike = _alike(wiring, strided, other)
    kept = alike.groups()
    left = [Left(name, what, alike.refused[name]) for name, what in other.items()]
    left += [
        Left(name, described(layer), alike.refused[name]) for name, layer in strided.items() if name in alike.refused
    ]
    left += opaque(wiring)
    places = {name: _place(wiring, name, strided[name]) for members in kept for name in members}
    order = {place: number for number, place in enumerate(_run_order(wiring))}
    first = {name: min(members, key=lambda name: order[places[name]]) for members in kept for name in members}
    samplings = _samplings(first, strided)
    replaced: list[Replaced] = _wrap_others(changed, strided, left)
    # Pools first: what is attached to one would be lost with it. Then the last to run, as the latest attached runs
    # ahead of the others.
    runs = wiring.run_order()
    for name in sorted(samplings, key=lambda name: (isinstance(strided[name], nn.Conv2d), -runs[name])):
        replaced.append(_sample(changed, name, strided[name], places[name], samplings[name], first[name]))
    position = {name: number for number, (name, _) in enumerate(changed.named_modules())}
    replaced.sort(key=lambda entry: position[entry.layer])
    return Surgery(changed, tuple(replaced), tuple(left))


def _alike(wiring: Wiring, strided: dict[str, Layer], other: dict[str, str]) -> Alike:
    runs = Counter(name for name, _ in wiring.calls())
    refused = dict.fromkeys(other, "it has no counterpart that follows the image")
    for name, layer in strided.items():
        why = margins_of(layer)[1] or _hooked(layer)
        if why or runs[name] != 1:
            refused[name] = why or f"it runs {runs[name]} times in a forward pass"
    strides = {name: _stride(layer) for name, layer in strided.items()} | dict.fromkeys(other, 2)
    alike = Alike(strides, refused)
    follow(wiring, alike, strides)
    return alike


def _hooked(layer: Layer) -> str:
    return "" if isinstance(layer, nn.Conv2d) else hooked(layer)


def _stride(layer: Layer) -> int:
    return (pair(layer.stride) if isinstance(layer, nn.Conv2d) else stride_of(layer))[0]


def _place(wiring: Wiring, name: str, layer: Layer) -> Place:
    if not isinstance(layer, nn.Conv2d):
        return Place(name, before=False)
    pointwise = layer.kernel_size == (1, 1) and not any(map(any, margins_of(layer)[0]))
    return Place(name, before=True) if pointwise else wiring.behind_activation(name)


def _run_order(wiring: Wiring) -> list[Place]:
    return [Place(name, before) for name, _ in wiring.calls() for before in (True, False)]


def _samplings(first: Mapping[str, str], strided: Mapping[str, Layer]) -> dict[str, nn.Module]:
    """One for each layer, by name. Of those that share a choice, the `first` to run makes it."""
    sharing = Counter(first.values())
    leading = {name: LeadingAPS(_stride(strided[name])) for name, count in sharing.items() if count > 1}
    found: dict[str, nn.Module] = {}
    for name, chooser in first.items():
        if chooser not in leading:
            found[name] = APS(0, _stride(strided[name]))
        else:
            found[name] = leading[chooser] if name == chooser else FollowingAPS(leading[chooser])
    return found


def _sample(model: nn.Module, name: str, layer: Layer, place: Place, sampling: nn.Module, first: str) -> Replaced:
    was, (rows, columns) = described(layer), margins_of(layer)[0]
    choice = f"APS(stride {_stride(layer)})" + ("" if first == name else f" with the choice of {first}")
    if isinstance(layer, nn.Conv2d):
        layer.stride = (1, 1)
        attach(model, place, "sampling", sampling)
        _wrap(model, name, layer, (rows, columns))
        return Replaced(name, was, f"stride 1, and {choice} {place}")
    whole = _at_every_pixel(layer)
    parts = [Wrap(rows, columns), whole, sampling] if whole is not None else [sampling]
    replace_module(model, name, *parts)
    return Replaced(name, was, f"{'stride 1, then ' if whole is not None else ''}{choice}")


def _at_every_pixel(pool: Pool) -> nn.Module | None:
    if isinstance(pool, nn.MaxPool2d):
        return nn.MaxPool2d(pool.kernel_size, 1, 0, pool.dilation)
    if isinstance(pool, nn.AvgPool2d):
        return nn.AvgPool2d(pool.kernel_size, 1, divisor_override=pool.divisor_override)
    if isinstance(pool, MaxPool):
        return nn.MaxPool2d(2, 1)
    return nn.AvgPool2d(2, 1) if isinstance(pool, AveragePool) else None


def _wrap_others(model: nn.Module, strided: dict[str, Layer], left: list[Left]) -> list[Replaced]:
    """Let all that keeps the resolution see the map wrapped around; what cannot is added to `left`."""
    replaced = []
    for name, layer in list(model.named_modules()):
        if name in strided or not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            continue
        (rows, columns), why = margins_of(layer)
        if why := why or _hooked(layer):
            left.append(Left(name, described(layer), why))
            continue
        if not any((*rows, *columns)) or (isinstance(layer, nn.Conv2d) and layer.padding_mode == "circular"):
            continue
        replaced.append(Replaced(name, described(layer), "the same, wrapped around"))
        if isinstance(layer, nn.Conv2d):
            _wrap(model, name, layer, (rows, columns))
        elif (whole := _at_every_pixel(layer)) is not None:
            replace_module(model, name, Wrap(rows, columns), whole)
    return replaced


def _wrap(model: nn.Module, name: str, conv: nn.Conv2d, around: Margins) -> None:
    rows, columns = around
    if not any((*rows, *columns)):
        return
    if max(*rows, *columns) == 1 and rows[0] == rows[1] and columns[0] == columns[1]:
        conv.padding_mode = "circular"
    else:  # torch's own wraps around once at most, and by as much on both sides
        conv.padding, conv.padding_mode = (0, 0), "zeros"
        attach(model, Place(name, before=True), "wrap", Wrap(rows, columns), last=True)


@final
class LeadingAPS(nn.Module):
    """`APS` that others share the choice of: the last one made is `choice`, of shape (n,)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.choice: Tensor | None = None

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """The pixels of one grid for each image."""
        self.choice = largest_phase(images, self.stride)
        return take_phase(images, self.choice, self.stride)

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"stride={self.stride}"


@final
class FollowingAPS(nn.Module):
    """The grid that another has chosen for the same images in the same forward pass."""

    def __init__(self, leading: LeadingAPS) -> None:
        super().__init__()
        self._leading = (leading,)  # in a tuple, so that it does not become a part of this one

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """The pixels of one grid for each image. Raises `InputError` where no choice has been made for them."""
        leading = self._leading[0]
        require(
            leading.choice is not None and len(leading.choice) == len(images),
            f"no grid has been chosen for these {len(images)} images: run the whole model",
        )
        assert leading.choice is not None
        return take_phase(images, leading.choice, leading.stride)
