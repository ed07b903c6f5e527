"""Nets that `pliant demo` has trained, by the folder of each in the folder of the run."""

from pathlib import Path

from pliant import records
from pliant._checks import InputError, require
from pliant.nets import cifar_net
from pliant.plan import Study
from pliant.zoo.loaded import Loaded, Request
from pliant.zoo.preprocessing import Standardise, resized_and_cropped
from pliant.zoo.weights import load_into

_RECORD, _WEIGHTS = "record.json", "weights.safetensors"


def names_run(name: str) -> bool:
    """Whether the name is that of a folder with the record of a net."""
    return (Path(name).expanduser() / _RECORD).is_file()


def build(name: str, request: Request) -> Loaded:
    """The net that the record in a folder tells of, with its trained weights; its images standardised one by one.

    Raises `InputError` for a record that is no net of `pliant demo`, and for a mean or standard deviation.
    """
    folder = Path(name).expanduser()
    require(
        request.mean is None and request.std is None,
        f"{name} standardises each image by its own mean and deviation: leave --mean and --std out",
    )
    record = records.read_json(folder / _RECORD)
    if "downsampling" not in record:
        raise InputError(
            f"{name}: not a net of `pliant demo`; name a folder such as runs/demo-digits-.../max_pool-seed0"
        )
    study = Study.from_json(records.read_json(folder.parent / "plan.json"))
    data = records.read_json(folder.parent / "data.json")
    channels, height, width = data["shape"]
    seed = record["seed"] if request.pretrained else request.seed
    kind, classes = record["downsampling"], len(data["classes"])
    net = cifar_net(kind, study.width, channels, classes, seed, study.padding_mode, study.pool_skip)
    if request.pretrained:
        load_into(net, request.weights or folder / _WEIGHTS, name)
    size = (request.size, request.size) if request.size else (height, width)
    trained = f"trained on {data['name']}"
    return Loaded(
        model=net.eval(),
        name=folder.name,
        source=f"A net of the run {folder.parent.name}, {request.origin(trained)}. Preprocessing: "
        f"its own{request.given}.",
        resize_and_crop=resized_and_cropped(size, channels),
        normalise=Standardise(),
        size=size,
        channels=channels,
    )
