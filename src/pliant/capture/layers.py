"""Which layers: presets, globs and dotted names, resolved against the calls of one forward pass."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn

from pliant._checks import InputError, unknown
from pliant.capture.calls import Call

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def select(model: nn.Module, calls: Sequence[Call], layers: str | Sequence[str]) -> list[Call]:
    """The calls that `layers` names, in the order in which the model runs them.

    layers: a preset ("blocks", "convs", "stages", "all"), a glob on names ("*conv*"), a dotted name, or a list of
    globs and names. Names stand for the raw output of the module, every run of it. Raises `InputError`, with near
    names, for what matches nothing.
    """
    if isinstance(layers, str) and layers in PRESETS:
        found = PRESETS[layers](model, calls)
        if not found:
            others = ", ".join(repr(name) for name, preset in PRESETS.items() if preset(model, calls))
            raise InputError(
                f"the model has no layers for layers={layers!r}: try {others}{' or ' if others else ''}a glob of names"
            )
        return found
    patterns = [layers] if isinstance(layers, str) else list(layers)
    if not patterns:
        raise InputError("layers=[] names no layer: give a preset, a glob or dotted names")
    chosen: set[str] = set()
    for pattern in patterns:
        chosen |= {call.name for call in _matching(calls, pattern)}
    return [call for call in calls if call.name in chosen]


def _matching(calls: Sequence[Call], pattern: str) -> list[Call]:
    if "*" in pattern or "?" in pattern:
        matches = [call for call in calls if fnmatchcase(call.name, pattern) and call.batched]
    else:
        matches = [call for call in calls if pattern in (call.name, call.module)]
        for call in matches:
            if not call.batched:
                raise InputError(
                    f"layer {call.name!r} puts out no batch of activations (its first dimension is not the number of "
                    "images): choose another"
                )
    if not matches:
        names = [call.name for call in calls if call.batched]
        raise unknown("layer", pattern, [*names, *PRESETS], "`pliant layers NAME` lists them.")
    return matches


def _all(model: nn.Module, calls: Sequence[Call]) -> list[Call]:
    """Every call that puts out new numbers: identities, and containers that repeat an inner layer, are left out."""
    return [call for call in calls if call.fresh and call.batched]


def _convs(model: nn.Module, calls: Sequence[Call]) -> list[Call]:
    """The raw output of every convolution."""
    return [call for call in calls if issubclass(call.kind, _CONVOLUTIONS) and call.batched]


def _blocks(model: nn.Module, calls: Sequence[Call]) -> list[Call]:
    """What Ruderman et al. 2018 call a layer, and what residual blocks put out.

    A convolution counts with all that takes its output at the same shape (batch norm, activation), under the name of
    the largest module that holds nothing else. Each layer that lowers the resolution counts, save global pooling, and
    each container whose output no layer in it has put out: a sum, or the activation of one. In a model in which none
    of this is there, a dense layer counts as a convolution does.
    """
    maps = [call for call in calls if call.batched and len(call.shape) >= 2]
    vectors = [call for call in calls if call.batched and len(call.shape) == 1]
    return _rows(calls, maps, _CONVOLUTIONS) or _rows(calls, vectors, (nn.Linear,))


def _rows(calls: Sequence[Call], some: Sequence[Call], weighted: tuple[type[nn.Module], ...]) -> list[Call]:
    """The layers that count among `some` of the calls; `weighted`: the kinds that begin one."""
    rows: list[_Row] = []
    for call in some:
        if issubclass(call.kind, weighted):
            if call.took_shape[1:] != (1, 1):  # a convolution of one pixel is a dense layer
                rows.append(_Row(call, weighted=True))
            continue
        before = next((row for row in reversed(rows) if row.goes_on_with(call)), None)
        if before is not None and (call.fresh or not call.leaf) and not _holds(call, rows):
            before.add(call, calls)
        elif call.leaf:
            if call.fresh and _lowers(call):
                rows.append(_Row(call))
        elif (wrapped := _wrapped(call, rows, calls)) is not None:
            wrapped.add(call, calls)
        elif call.fresh or (_holds(call, rows) and not any(call.repeats in row.end for row in rows)):
            rows.append(_Row(call))
    return [row.call for row in rows]


class _Row:
    """A layer that counts: the call it is heard at, all names of what that puts out, and all calls it is made of."""

    def __init__(self, call: Call, weighted: bool = False) -> None:
        self.weighted = weighted
        self.parts: set[str] = set()
        self.add(call, ())

    def goes_on_with(self, call: Call) -> bool:
        """The layer has weights of its own, and the call takes what they put out and neither pools nor reshapes it."""
        follows = self.weighted and call.took in self.end and call.shape == self.call.shape
        return follows and "Pool" not in call.kind.__name__

    def add(self, call: Call, calls: Sequence[Call]) -> None:
        """Hear the layer at this call instead."""
        self.call, self.end = call, {call.name} | ({call.repeats} if call.repeats else set())
        self.parts |= {call.name} | {inner.name for inner in calls if inner.module.startswith(call.module + ".")}


def _holds(container: Call, rows: Sequence[_Row]) -> bool:
    """A layer that counts lies in the container."""
    return any(row.call.module.startswith(container.module + ".") for row in rows)


def _wrapped(container: Call, rows: Sequence[_Row], calls: Sequence[Call]) -> _Row | None:
    """The layer whose output the container repeats, if the container runs nothing else that puts out new numbers."""
    prefix = container.module + "."
    inside = {call.name for call in calls if call.leaf and call.fresh and call.module.startswith(prefix)}
    return next((row for row in rows if container.repeats in row.end and inside and inside <= row.parts), None)


def _lowers(call: Call) -> bool:
    """The call's map is smaller than the one it took, with the same channels, and is not a global pool's."""
    if len(call.shape) != 3 or call.shape[:1] != call.took_shape[:1] or "Adaptive" in call.kind.__name__:
        return False
    return call.shape[1] < call.took_shape[1] or call.shape[2] < call.took_shape[2]


def _stages(model: nn.Module, calls: Sequence[Call]) -> list[Call]:
    """The stages that a timm model names itself; else the last module of the trunk at each resolution."""
    by_name = {call.name: call for call in calls if call.batched}
    named = [str(info["module"]) for info in _feature_info(model)]
    if named and all(name in by_name for name in named):
        return [by_name[name] for name in named]
    trunk = [by_name[path] for path in _trunk(model, by_name)]
    trunk = [call for call in trunk if len(call.shape) >= 2 and "Adaptive" not in call.kind.__name__]
    resolutions = [call.shape[1:] if len(call.shape) == 3 else call.shape[:1] for call in trunk]
    last = [i for i in range(len(trunk)) if i + 1 == len(trunk) or resolutions[i] != resolutions[i + 1]]
    return [trunk[i] for i in last]


def _feature_info(model: nn.Module) -> list[dict[str, object]]:
    info = getattr(model, "feature_info", None)
    info = getattr(info, "info", info)
    return info if isinstance(info, list) else []


def _trunk(model: nn.Module, by_name: dict[str, Call]) -> list[str]:
    """The modules that run one after another: sequences are opened, and so are wrappers until 3 modules are found."""

    def opened(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        for name, child in module.named_children():
            inner = f"{path}.{name}" if path else name
            if type(child) in (nn.Sequential, nn.ModuleList):
                yield from opened(inner, child)
            elif inner in by_name:
                yield inner, child

    trunk = list(opened("", model))
    while trunk and len(trunk) < 3:
        sizes = [sum(1 for _ in module.modules()) for _, module in trunk]
        widest = sizes.index(max(sizes))
        inner = list(opened(*trunk[widest]))
        if not inner:
            break
        trunk[widest : widest + 1] = inner
    order = list(by_name)
    return sorted((path for path, _ in trunk), key=order.index)


PRESETS: dict[str, Callable[[nn.Module, Sequence[Call]], list[Call]]] = {
    "blocks": _blocks,
    "convs": _convs,
    "stages": _stages,
    "all": _all,
}
