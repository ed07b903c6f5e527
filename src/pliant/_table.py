"""Results that show themselves as their tables."""

from abc import ABC, abstractmethod

import pandas as pd


class Table(ABC):
    """A result with a table, which is what a session and a notebook show of it; not its raw numbers."""

    @abstractmethod
    def to_pandas(self) -> pd.DataFrame:
        """The result as a table."""

    def __repr__(self) -> str:
        return str(self.to_pandas())

    def _repr_html_(self) -> str:
        return str(self.to_pandas()._repr_html_())
