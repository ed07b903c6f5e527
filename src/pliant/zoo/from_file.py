"""Models that a function in a file of the user's makes. The file is run only because it was named as one."""

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from pliant._checks import InputError, require, unknown
from pliant.zoo.initialisation import seeded
from pliant.zoo.loaded import Loaded, Request
from pliant.zoo.preprocessing import IMAGENET_MEAN, IMAGENET_STD, RESIZE, Normalise, resized_and_cropped
from pliant.zoo.weights import load_into

SIZE = 224
_NAME = re.compile(r"(?P<path>.+\.py)(:(?P<function>\w*))?")


def names_file(name: str) -> bool:
    """Whether the name has the form of a Python file, with or without a function."""
    return _NAME.fullmatch(name) is not None


def build(name: str, request: Request) -> Loaded:
    """What the function of `path/to/file.py:function` returns, called without arguments.

    Its preprocessing is not known: 224 pixels a side and ImageNet's mean and standard deviation, unless the request
    says otherwise. A mean of one number makes the images grey. Raises `InputError` for a file or function that is not
    there, fails, or makes no `nn.Module`.
    """
    match = _NAME.fullmatch(name)
    if match is None or not match["function"]:
        raise InputError(f"{name}: name the function that makes the model too, as in {name.rstrip(':')}:FUNCTION")
    path = Path(match["path"]).expanduser()
    require(path.is_file(), f"{path}: no such file; a model is named path/to/file.py:FUNCTION")
    with seeded(request.seed):
        model = _run(path, match["function"])
    if request.weights is not None:
        load_into(model, request.weights, name)
    size, mean, std = request.size or SIZE, request.mean or IMAGENET_MEAN, request.std or IMAGENET_STD
    given = [key for key in ("size", "mean", "std") if getattr(request, key) is None]
    assumed = f"; {' and '.join(given)} assumed as for ImageNet" if given else ""
    origin = f", {request.origin('')}" if request.weights is not None else f" (seed {request.seed})"
    return Loaded(
        model=model.eval(),
        name=name,
        source=f"The model that {match['function']}() in {path} makes{origin}. Preprocessing: as given{assumed}.",
        resize_and_crop=resized_and_cropped((size, size), len(mean), RESIZE),
        normalise=Normalise(mean, std),
        size=(size, size),
        channels=len(mean),
    )


def _run(path: Path, function: str) -> nn.Module:
    with _importable(path) as module:
        try:
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            raise InputError(f"{path}: running it raised {_told(error)}") from error
        factories = {key: value for key, value in vars(module).items() if _is_own(value, module)}
        if function not in factories and not callable(getattr(module, function, None)):
            raise unknown(f"function of {path}", function, factories)
        factory: Callable[[], Any] = getattr(module, function)
        try:
            model = factory()
        except Exception as error:
            raise InputError(f"{path}: {function}() raised {_told(error)}") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"{path}: {function}() returned a {type(model).__name__}; it must return a torch.nn.Module")
    return model


@contextmanager
def _importable(path: Path) -> Iterator[ModuleType]:
    """An empty module for the file. Inside, files beside it can be imported, as when it is run as a script.

    The module stays known to Python, under a name of its own: the classes in it look themselves up by it.
    """
    name = f"pliant_model_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.modules[name] = module
    sys.path.insert(0, folder)
    try:
        yield module
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _is_own(value: object, module: ModuleType) -> bool:
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
