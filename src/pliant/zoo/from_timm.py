"""Models of timm, with the preprocessing that timm records for their weights."""

import math
from typing import Any

from pliant._checks import InputError, require, unknown
from pliant.zoo.download import in_torch_cache, no_weights, told, unreachable
from pliant.zoo.initialisation import seeded
from pliant.zoo.loaded import Loaded, Request
from pliant.zoo.preprocessing import Normalise, ResizeAndCrop, described
from pliant.zoo.weights import load_into


def build(name: str, request: Request) -> Loaded:
    """The model of that name in timm: `resnet50.a1_in1k`, `timm/resnet50.a1_in1k`, or `resnet50` for timm's default.

    Raises `InputError` for an unknown name, weights that cannot be had, and a size that the model does not take.
    """
    import timm  # slow to import
    from timm.data import create_transform, resolve_model_data_config  # pyright: ignore[reportPrivateImportUsage]

    short = name.removeprefix("timm/")
    published = _published(short, name)
    full = f"{short.partition('.')[0]}.{published.tag}" if published.tag else short
    if request.downloads:
        _check_reachable(published, full)
    sized: dict[str, Any] = {"img_size": request.size} if request.size and published.fixed_input_size else {}
    try:
        with seeded(request.seed):
            model = timm.create_model(short, pretrained=request.downloads, **sized)
    except Exception as error:  # of timm, of the hub, of its network library, of the disk
        refused_size = bool(sized) and isinstance(error, TypeError | ValueError | AssertionError)
        if request.downloads and not refused_size:
            raise no_weights(full, told(error)) from error
        size = f" for images of {request.size} pixels a side" if request.size else ""
        raise InputError(f"timm cannot make {full}{size} ({told(error)})") from error
    if request.weights is not None:
        load_into(model, request.weights, full)
    channels = published.input_size[0]
    wanted: dict[str, Any] = {"input_size": (channels, request.size, request.size)} if request.size else {}
    for key, values in (("mean", request.mean), ("std", request.std)):
        if values is not None:
            require(len(values) == channels, f"{key}={values}: {name} takes images of {channels} channels")
            wanted[key] = values
    config: dict[str, Any] = resolve_model_data_config(model, args=wanted)
    height, width = config["input_size"][1:]
    geometry: Any = create_transform(**config, is_training=False, normalize=False)
    return Loaded(
        model=model.eval(),
        name=name,
        source=(
            f"timm's {full}, {request.origin('from ' + (published.hf_hub_id or published.url or 'nowhere'))}. "
            f"Preprocessing: timm's for {full}{request.given}."
        ),
        resize_and_crop=ResizeAndCrop(geometry, channels, geometry_in_words(config)),
        normalise=Normalise(tuple(config["mean"]), tuple(config["std"])),
        size=(height, width),
        channels=channels,
    )


def geometry_in_words(config: dict[str, Any]) -> str:
    """What timm's `create_transform` makes of a data configuration, without the normalising."""
    height, width = config["input_size"][1:]
    resized = [math.floor(side / config["crop_pct"]) for side in (width, height)]
    mode = config.get("crop_mode") or "center"
    if mode == "squash":
        return f"resized to {resized[0]} x {resized[1]} ({config['interpolation']}), centre crop of {width} x {height}"
    if mode == "border":
        return f"longer side resized to {max(resized)} ({config['interpolation']}), bordered to {width} x {height}"
    return described(min(resized), (height, width), config["interpolation"])


def _published(short: str, name: str) -> Any:
    """What timm records of the model's weights: where they are, and the preprocessing."""
    import timm

    architecture, _, tag = short.partition(".")
    if not timm.is_model(architecture):
        known = [*timm.list_models(), *timm.list_models(pretrained=True)]
        remedy = "Names are those of timm, torchvision:NAME, or path/to/file.py:FUNCTION."
        raise unknown("model", name, known, remedy)
    try:
        published = timm.get_pretrained_cfg(short, allow_unregistered=False)
    except RuntimeError:
        known = timm.list_models(f"{architecture}.*", pretrained=True)
        remedy = f"They are listed by timm.list_models('{architecture}.*', pretrained=True)."
        raise unknown(f"weights of {architecture}", tag, [full.partition(".")[2] for full in known], remedy) from None
    if published is None:
        raise InputError(f"timm records no preprocessing for {name}; name one of timm.list_models(pretrained=True)")
    return published


def _check_reachable(published: Any, full: str) -> None:
    """Raise at once if the weights are neither in the cache nor on a server that answers."""
    from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache

    if published.hf_hub_id:
        files = {published.hf_hub_filename or "pytorch_model.bin", "model.safetensors", "open_clip_model.safetensors"}
        if any(isinstance(try_to_load_from_cache(published.hf_hub_id, file), str) for file in files):
            return
        if constants.HF_HUB_OFFLINE:
            raise no_weights(full, "not in the cache, and HF_HUB_OFFLINE is set")
        reason = unreachable(hf_hub_url(published.hf_hub_id, "model.safetensors"))
    elif published.url:
        reason = None if in_torch_cache(published.url) else unreachable(published.url)
    else:
        reason = "timm publishes none"
    if reason:
        raise no_weights(full, reason)
