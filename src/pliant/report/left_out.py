"""What a page says of an image that was not measured."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class LeftOut(Protocol):
    """An image that was not measured, and why."""

    @property
    def file(self) -> str:
        """Its file."""
        ...

    @property
    def reason(self) -> str:
        """Why it was left out."""
        ...
