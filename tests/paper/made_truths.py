"""Made-up nets of known truth: as the paper has it, against it, and seeds that disagree."""

import math

from paper.fake_study import Moment

from pliant.paper.statistics import POOLING
from pliant.plan import DOWNSAMPLING


def _number(m: Moment) -> int:
    return DOWNSAMPLING.index(m.cell.net.downsampling)


def _noisy(value: float, m: Moment) -> float:
    return value * math.exp(0.002 * m.noise)


def paper_sensitivity(m: Moment) -> float:
    """Pooling starts lower; all end alike on real labels, and apart on random ones; smoother is stabler; other images
    end otherwise.
    """
    start = 0.1 if m.cell.net.downsampling in POOLING else 0.2
    if not m.cell.training:
        return _noisy(start * math.exp(-2 * m.cell.net.sigma * m.depth), m)
    end = 0.3 + 0.003 * _number(m)
    if m.cell.task.kind == "random_labels":
        end = 0.15 * 1.5 ** _number(m)
    if m.cell.task.kind in ("random_images", "shuffled_pixels"):
        end *= 2
    return _noisy(start + (end - start) * m.progress, m)


def paper_variation(m: Moment) -> float:
    """Every layer falls early, more with stronger deformations, and by net on random labels: subsample least."""
    fall = 0.3
    if m.cell.task.kind == "templates":
        fall = 0.1 * m.cell.task.reach
    if m.cell.task.kind == "random_labels":
        fall = 0.1 * _number(m)
    return _noisy(1.857 - fall * math.sqrt(m.progress), m)


def rougher_variation(m: Moment) -> float:
    """The paper's turned upside down: the filters of every net become rougher."""
    return 2 * 1.857 - paper_variation(m)


def one_rougher_variation(m: Moment) -> float:
    """As the paper has it, but that the filters of one net of five become rougher."""
    return rougher_variation(m) if m.cell.net.downsampling == "strided" else paper_variation(m)


def other_sensitivity(m: Moment) -> float:
    """Pooling starts and ends higher and hardly changes; random labels bring nets together; smoother is worse."""
    pooling = m.cell.net.downsampling in POOLING
    start = 0.40 if pooling else 0.25
    if not m.cell.training:
        return _noisy(start * math.exp(2 * m.cell.net.sigma), m)
    end = 0.36 if pooling else 0.22
    if m.cell.task.kind == "random_labels":
        end = 0.33 if pooling else 0.24
    return _noisy(start + (end - start) * m.progress, m)


def other_variation(m: Moment) -> float:
    """Stronger deformations roughen, random labels make no difference, the fall is late, and not in the last layer."""
    if m.cell.task.kind == "templates":
        return _noisy(1.857 - (0.5 - 0.1 * m.cell.task.reach) * m.progress, m)
    if m.cell.task.kind == "random_labels":
        return _noisy(1.857 - 0.2 * m.progress, m)
    late = {0.0: 0.0, 1.0: 1.0}.get(m.progress, -0.8)
    return _noisy(1.857 - 0.3 * late if m.depth < 1 else 1.857 + 0.2 * m.progress, m)


def mixed_sensitivity(m: Moment) -> float:
    return paper_sensitivity(m) if m.cell.seed % 2 == 0 else other_sensitivity(m)


def mixed_variation(m: Moment) -> float:
    return paper_variation(m) if m.cell.seed % 2 == 0 else other_variation(m)


def untouched_sensitivity(m: Moment) -> float:
    """As the paper has it, but that training lowers nets which are measured with batch norm untouched."""
    return paper_sensitivity(m) * (10 if m.batch_norm == "untouched" else 1)


def decaying_variation(m: Moment) -> float:
    """As the paper has it, but that filters become rougher without weight decay."""
    return rougher_variation(m) if m.cell.choice == "no weight decay" else paper_variation(m)
