"""Which layers of a model have to subsample alike, because what they put out is added or joined later."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from torch import fx, nn

from pliant.surgery.structure import Wiring

Path = tuple[str, ...]
"""The layers that have subsampled a map on its way from the input."""

_GLOBAL = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Linear)
_GLOBAL_FUNCTIONS = {"mean", "flatten", "size", "adaptive_avg_pool2d", "getattr", "amax"}


class Alike:
    """Sets of layers that share one choice, and why some cannot have one.

    strides: of every layer that subsamples, by name. `refused`: layers that cannot follow the image, with reasons;
    who shares with one of them cannot, either.
    """

    def __init__(self, strides: Mapping[str, int], refused: Mapping[str, str]) -> None:
        self._strides = strides
        self._first = {name: name for name in strides}
        self.refused = dict(refused)

    def of(self, name: str) -> str:
        """The layer that stands for all that share with this one."""
        while self._first[name] != name:
            name = self._first[name]
        return name

    def groups(self) -> list[list[str]]:
        """The layers that share a choice, without those that can have none."""
        found: dict[str, list[str]] = {}
        for name in self._strides:
            found.setdefault(self.of(name), []).append(name)
        kept = []
        for members in found.values():
            if bad := [name for name in members if name in self.refused]:
                for name in members:
                    self.refused.setdefault(name, f"what it puts out meets that of {bad[0]}, which stays")
            else:
                kept.append(members)
        return kept

    def meet(self, paths: Sequence[Path]) -> Path:
        """Maps of these paths are added or joined: from where they part, one has to subsample as the other."""
        first = paths[0]
        for other in paths[1:]:
            for one, two in zip_longest(first, other):
                if one is None or two is None or self._strides[one] != self._strides[two]:
                    for name in (*first[len(self._common(first, other)) :], *other[len(self._common(first, other)) :]):
                        self.refused.setdefault(name, "branches that meet subsample in different steps")
                    break
                self._first[self.of(two)] = self.of(one)
        return first

    def _common(self, one: Path, two: Path) -> Path:
        common = []
        for a, b in zip(one, two, strict=False):
            if self.of(a) != self.of(b):
                break
            common.append(a)
        return tuple(common)


def follow(wiring: Wiring, alike: Alike, sites: Mapping[str, Any]) -> None:
    """Walk the graph from the input on, and tell `alike` wherever maps meet. `sites`: names of layers, and of calls."""
    paths: dict[fx.Node, Path | None] = {}
    for node in wiring.graph.nodes if wiring.graph else ():
        if node.op == "output":
            continue  # maps that leave the model side by side do not meet
        arriving = [path for taken in node.all_input_nodes if (path := paths[taken]) is not None]
        if node.op == "placeholder":
            paths[node] = ()
        elif not arriving or _is_global(wiring, node):
            paths[node] = None  # no longer a map: nothing to keep in step with
        else:
            name = str(node.target) if node.op == "call_module" else node.name
            path = alike.meet(arriving)
            paths[node] = (*path, name) if name in sites else path


def _is_global(wiring: Wiring, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(wiring.model.get_submodule(str(node.target)), _GLOBAL)
    return (node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")) in _GLOBAL_FUNCTIONS
