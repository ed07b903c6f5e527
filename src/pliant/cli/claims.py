"""`pliant claims`: the verdicts on the study's claims."""

from math import isfinite
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pliant.paper.claims import CAVEAT, write_claims
from pliant.paper.ruling import Finding
from pliant.paper.verdict import LEVEL, percent

_STYLES = {
    "supported": "green",
    "refuted": "red",
    "undecided": "yellow",
    "not run": "dim",
    "not fitted": "dim",
}


def claims(folder: Path) -> int:
    """Judge the claims of a study by its records, print the verdicts and write them to claims.json.

    The exit status is 0 whatever the verdicts are.

    Parameters
    ----------
    folder
        The folder of a run of `pliant plan ruderman2018`.
    """
    findings = write_claims(folder)
    console = Console()
    show(findings, console)
    console.print(Text(f"Claims: {folder / 'claims.json'}"), soft_wrap=True)
    return 0


def show(findings: list[Finding], console: Console) -> None:
    """Print one row a claim: verdict, estimate, under how many protocols it holds, what changes it; then the reasons of
    what could not be decided.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("claim", "verdict", "estimate [interval] n", "holds", "changed by"):
        table.add_column(name)
    for finding in findings:
        holds, judged = finding.holds
        table.add_row(
            Text(f"{finding.claim.id}: {finding.claim.title}"),
            Text(finding.verdict, _STYLES[finding.verdict]),
            Text(_estimate(finding)),
            Text(f"{holds} of {judged}" if judged else ""),
            Text("; ".join(finding.flips)),
        )
    console.print(table)
    for finding in findings:
        if finding.verdict not in ("supported", "refuted"):
            console.print(Text(f"{finding.claim.id} is {finding.verdict}: {finding.reference.reason}."))
    console.print(
        Text(
            f"Estimates are means over n seeds with Student's {percent(LEVEL)} intervals where no other level stands "
            "beside them; the spread over images is not in them. Of several statistics the one that decides is shown. "
            f"{CAVEAT} Verdicts are those of the reference protocol; holds: the protocols that support the claim, of "
            "those that could be judged; changed by: single choices that give another verdict.",
            "dim",
        )
    )


def _estimate(finding: Finding) -> str:
    found = finding.reference.interval
    if found is None:
        return ""
    level = "" if found.level == LEVEL else f" {percent(found.level)}"
    ends = f" [{found.low:.3f}, {found.high:.3f}]{level}" if isfinite(found.low) else ""
    return f"{found.estimate:.3f}{ends} {found.n}"
