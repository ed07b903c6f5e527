"""What one profile says, in words: how it was measured, and where sensitivity, or what else it holds, rises most."""

from itertools import pairwise
from typing import Any

from pliant.profile import Profile
from pliant.stats import Interval
from pliant.stats.interval import FEWEST


def defined(profile: Profile, layer: str) -> Interval | None:
    """The sensitivity of a layer; None where it has none."""
    return None if layer in profile.undefined else profile[layer]


def rises_most(profile: Profile) -> tuple[int, float] | None:
    """The index of the layer whose sensitivity lies furthest above that of the defined layer before it, and how far.

    None where no layer is more sensitive than the one before, or fewer than two are defined.
    """
    kept = [i for i, layer in enumerate(profile.layers) if layer not in profile.undefined]
    steps = [(i, float(profile.estimate[i] - profile.estimate[before])) for before, i in pairwise(kept)]
    i, step = max(steps, key=lambda found: found[1], default=(0, 0.0))
    return (i, step) if step > 0 else None


def rise(profile: Profile) -> str:
    """One line: the layer where sensitivity rises most, from what to what."""
    if len(profile.layers) - len(profile.undefined) < 2:
        return f"Fewer than two layers have {with_article(profile.quantity)}: nothing to say of where it rises."
    found, subject = rises_most(profile), capitalised(profile.quantity)
    if found is None:
        than = "no layer is more sensitive than" if is_sensitivity(profile) else "it is larger in no layer than in"
        return f"{subject} never rises: {than} the one before it."
    i, step = found
    end = float(profile.estimate[i])
    return f"{subject} rises most at {profile.layers[i]}: {end - step:.3f} -> {end:.3f} (+{step:.3f})"


def no_interval(images: int) -> str:
    """Where an estimate of so many images has no interval, to go on with "no interval"."""
    return (
        f"with fewer than {FEWEST} images" if images < FEWEST else "where a block of few images leaves a layer no pairs"
    )


def without_intervals(profile: Profile) -> str:
    """A sentence that says why layers have no interval; empty where all that have an estimate have one."""
    if all(profile[name].has_ends for name in profile.layers if name not in profile.undefined):
        return ""
    return f"No intervals {no_interval(profile.images)}: resampling says nothing of others."


def is_sensitivity(profile: Profile) -> bool:
    """The profile is one of distances in units of the pair median."""
    return profile.quantity == "sensitivity"


def capitalised(quantity: str) -> str:
    """With a capital letter in front, and the others as they are."""
    return quantity[:1].upper() + quantity[1:]


def with_article(quantity: str) -> str:
    """A sensitivity, an equivariance error."""
    return f"{'an' if quantity[:1] in 'aeiou' else 'a'} {quantity}"


def deformation(protocol: dict[str, Any]) -> str:
    """The family and its settings: "thin plate, grid 3, reach 2"."""
    described = protocol.get("deformation", {})
    if "steps" in described:
        return " then ".join(deformation({"deformation": step}) for step in described["steps"])
    settings = (f"{n} {_plain(value)}" for n, value in described.items() if n != "family" and value is not None)
    return ", ".join([str(described.get("family", "unknown")).replace("_", " "), *settings])


def batch_norm(protocol: dict[str, Any]) -> str:
    """How batch norm ran: "as is", "untouched", or "calibrated on 512 images"."""
    name = str(protocol.get("batch_norm", "unknown")).replace("_", " ")
    return f"{name} on {protocol['calibration']:,} images" if protocol.get("calibration") else name


def folds(share: float) -> str:
    """The share of pixels at which deformations fold; a share above 0 never reads as none."""
    return "none" if share == 0 else "under 0.01% of pixels" if share < 1e-4 else f"{share:.2%} of pixels"


def folds_of(profile: Profile) -> str:
    """The same of a profile; and the share of images whose deformations were shrunk so that they do not fold."""
    shrunk = profile.provenance.get("displacement", {}).get("shrunk", 0)
    return folds(profile.folds) + (f", {shrunk:.1%} of the deformations shrunk for it" if shrunk else "")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
