"""Classification models of torchvision, with the preprocessing of their weights."""

from typing import Any

from pliant._checks import InputError, require, unknown
from pliant.zoo.download import in_torch_cache, no_weights, told, unreachable
from pliant.zoo.initialisation import seeded
from pliant.zoo.loaded import Loaded, Request
from pliant.zoo.preprocessing import Normalise, ResizeAndCrop, described
from pliant.zoo.weights import load_into

PREFIX = "torchvision:"
_FIXED = ("maxvit_t",)  # of one size, and does not say so
_ASKS_FOR_INITIALISATION = ("googlenet", "inception_v3")  # they warn unless told whether to draw initial weights


def build(name: str, request: Request) -> Loaded:
    """`torchvision:resnet50/IMAGENET1K_V2`, or without the slash for the default weights.

    Raises `InputError` for an unknown model or weights, weights that cannot be had, and a size that a model with a
    fixed input does not take.
    """
    from torchvision import models  # slow to import
    from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

    architecture, _, part = name.removeprefix(PREFIX).partition("/")
    known = models.list_models(module=models)
    if architecture not in known:
        raise unknown("torchvision model", architecture, known)
    choices: Any = models.get_model_weights(architecture)
    if part and part not in choices.__members__:
        raise unknown(f"weights of {architecture}", part, choices.__members__)
    weights: Any = choices[part] if part else choices.DEFAULT
    model = _model(architecture, weights, request)
    if request.weights is not None:
        load_into(model, request.weights, architecture)
    own = weights.transforms()
    size = request.size or own.crop_size[0]
    fixed = own.crop_size[0] if architecture in _FIXED else getattr(model, "image_size", size)
    require(fixed == size, f"size={size}: torchvision's {architecture} takes {fixed} pixels a side")
    # The shorter side keeps its ratio to the crop when another size is asked for.
    resized = round(own.resize_size[0] * size / own.crop_size[0])
    geometry = Compose([Resize(resized, own.interpolation, antialias=True), CenterCrop(size), PILToTensor()])
    mean, std = request.mean or tuple(own.mean), request.std or tuple(own.std)
    require(len(mean) == 3, f"mean={mean}: {name} takes images of 3 channels")
    return Loaded(
        model=model.eval(),
        name=name,
        source=(
            f"torchvision's {architecture}, {request.origin(weights.name)}. "
            f"Preprocessing: torchvision's for {weights.name}{request.given}."
        ),
        resize_and_crop=ResizeAndCrop(geometry, 3, described(resized, (size, size), own.interpolation.value)),
        normalise=Normalise(mean, std),
        size=(size, size),
        channels=3,
    )


def _model(architecture: str, weights: Any, request: Request) -> Any:
    from torchvision import models

    options: dict[str, Any] = {}
    if not request.downloads:
        if architecture in _ASKS_FOR_INITIALISATION:
            options["init_weights"] = True
        if request.size and architecture.startswith("vit_"):
            options["image_size"] = request.size
        with seeded(request.seed):
            return models.get_model(architecture, weights=None, **options)
    full = f"{architecture}/{weights.name}"
    try:
        _fetch(weights, full)
        with seeded(request.seed):
            return models.get_model(architecture, weights=weights)
    except InputError:
        raise
    except Exception as error:  # of the network, of the disk, of a damaged download
        raise no_weights(full, told(error)) from error


def _fetch(weights: Any, full: str) -> None:
    """Have the file in torch's cache, with its hash checked, and refuse one that is more than tensors.

    The builders of torchvision unpickle the file without that limit, so it is read under the limit first.
    """
    reason = None if in_torch_cache(weights.url) else unreachable(weights.url)
    if reason:
        raise no_weights(full, reason)
    weights.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
