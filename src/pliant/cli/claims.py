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
    """Print each claim with its verdict, estimate, under how many protocols it holds and what changes it; then the
    reasons of what could not be decided.
    """
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(
            Text(finding.verdict, _STYLES[finding.verdict]),
            Text.assemble((f"{finding.claim.id}: {finding.claim.title}", "bold"), f"\n{_told(finding)}"),
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


def _told(finding: Finding) -> str:
    """Estimate, interval and n; how far the claim holds; what changes the verdict."""
    found, (holds, judged) = finding.reference.interval, finding.holds
    parts = []
    if found is not None:
        level = "" if found.level == LEVEL else f" at {percent(found.level)}"
        ends = f" [{found.low:.3f}, {found.high:.3f}]{level}" if isfinite(found.low) else ""
        parts.append(f"{found.estimate:.3f}{ends}, n = {found.n}")
    if judged:
        parts.append(f"holds under {holds} of {judged}")
    if finding.flips:
        parts.append(f"changed by {'; '.join(finding.flips)}")
    return " · ".join(parts)
