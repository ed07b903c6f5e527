"""What an operation on a model has changed, and what it has left."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Replaced:
    """`layer`: the dotted name; `was`, `now`: what stood there and what stands there now."""

    layer: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.was} -> {self.now}"


@dataclass(frozen=True)
class Left:
    """`layer`: the dotted name, or that of the call in the model's graph; `what` stands there, and `why` it stays."""

    layer: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.what} stays: {self.why}"


@dataclass(frozen=True, eq=False)
class Surgery(Generic[Model]):
    """A changed copy of a model, and the report: every layer that was `replaced`, and every one `left`, with reason.

    Printed, it is the report.
    """

    model: Model
    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        if not self.replaced and not self.left:
            return "The model has nothing to replace."
        count = f"{len(self.replaced)} replaced, {len(self.left)} left"
        return "\n".join([count, *(f"  {entry}" for entry in (*self.replaced, *self.left))])
