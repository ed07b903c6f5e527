"""What was measured, shown: the page of a run, the page of a profile, figures, a table, the terminal. Loads no torch.

Nothing here measures: pages and figures read the records and the profiles that a run has left.
"""

from pliant.report.findings import headline, table
from pliant.report.pages import comparison, models, single, study, study_summary
from pliant.report.sides import Fact, Side, Sides
from pliant.report.standalone import figures

__all__ = [
    "Fact",
    "Side",
    "Sides",
    "comparison",
    "figures",
    "headline",
    "models",
    "single",
    "study",
    "study_summary",
    "table",
]
