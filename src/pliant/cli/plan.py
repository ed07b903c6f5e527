"""`pliant plan`: the plan of a study as JSON, to be looked at, edited and run."""

import json
from pathlib import Path

from pliant._checks import unknown
from pliant.paper.plans import FIGURES, SCALES, ruderman2018
from pliant.plan import DOWNSAMPLING

DATA = ("digits", "cifar10", "mnist")
STUDIES = {"ruderman2018": ruderman2018}


def plan(
    study: str,
    *,
    data: str,
    scale: str = "small",
    figures: str | None = None,
    seeds: int | None = None,
    templates: str = "",
    downsampling: tuple[str, ...] = DOWNSAMPLING,
) -> int:
    """Print the plan of a study as JSON; `pliant run` carries it out.

    Parameters
    ----------
    study
        ruderman2018.
    data
        "digits" (embedded), "cifar10", "mnist", or a folder of parquet files or of images, one subfolder a class.
    scale
        "small", for two cores, or "paper", the full protocol.
    figures
        The figures that the runs are for, with commas between them; all if not given.
    seeds
        Seeds of each net, instead of the scale's own.
    templates
        The data set of the templates of Figure 3; the embedded digits if not given.
    downsampling
        The nets that are trained on real and random labels, with commas between them: the study's five, which its
        claims need, and others beside them, as pliant demo names them.
    """
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    for name in {data, templates} - {""}:
        _check_data(name)
    chosen = FIGURES if figures is None else tuple(name.strip() for name in figures.split(","))
    nets = tuple(name.strip() for given in downsampling for name in given.split(","))
    print(json.dumps(STUDIES[study](data, scale, chosen, seeds, templates, nets).to_json(), indent=1))
    return 0


def _check_data(name: str) -> None:
    """Refuse what is neither the name of a data set nor a folder, without reading it."""
    if name not in DATA and not Path(name).expanduser().is_dir():
        raise unknown("data set", name, DATA, "Or give the folder of one.")
