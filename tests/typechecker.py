"""The checker of the signatures: an int stands for a float, as in Python's own type system."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))

_scope = jaxtyping.jaxtyped  # conftest.py puts the one below in its place
_nested: dict[tuple[str, str, CodeType], Callable[..., Any]] = {}


def jaxtyped(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """In the place of `jaxtyping.jaxtyped`: the same checks in a fraction of the time.

    That one checks the arguments of each call twice, has names of axes for functions without arrays, too, and makes
    the checks of a function inside of another one, such as a hook, again whenever the other one runs.
    """
    return functools.partial(_checked_once, typechecker=typechecker)


def _checked_once(given: Any, typechecker: Callable[[Any], Any]) -> Any:
    if inspect.isclass(given):
        if dataclasses.is_dataclass(given) and "__init__" in vars(given):
            given.__init__ = _checked_once(given.__init__, typechecker)
        return given
    checking = None

    @functools.wraps(given)
    def once(*args: Any, **kwargs: Any) -> Any:
        nonlocal checking
        if jaxtyping.config.jaxtyping_disable:
            return given(*args, **kwargs)
        if checking is None:  # most functions of a package are never called where it is imported
            checking = _checking(given, typechecker)
        return checking(*args, **kwargs)

    return once


def _checking(given: Any, typechecker: Callable[[Any], Any]) -> Callable[..., Any]:
    """The function with checks of its arguments, then of its result."""
    if "<locals>" not in given.__qualname__:
        return _scoped(_through(given, lambda kwargs: given), typechecker)
    key = given.__module__, given.__qualname__, given.__code__
    if key not in _nested:
        _nested[key] = _scoped(_through(given, lambda kwargs: kwargs.pop("_given")), typechecker)
    return functools.partial(_nested[key], _given=given)


def _scoped(through: Any, typechecker: Callable[[Any], Any]) -> Callable[..., Any]:
    """With checks, and with names of axes of its own if it has arrays."""
    checking = typechecker(through)

    def scoped(*args: Any, **kwargs: Any) -> Any:
        with _scope("context"):
            return checking(*args, **kwargs)

    return scoped if any(map(_of_arrays, through.__annotations__.values())) else checking


def _through(given: Any, choose: Callable[[dict[str, Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """A function with the signature of `given` that calls the one that is chosen."""

    def through(*args: Any, **kwargs: Any) -> Any:
        return choose(kwargs)(*args, **kwargs)

    # Its signature alone, which holds no variables of what is around it. What a generator gives out comes later.
    code = given.__code__.replace(co_flags=given.__code__.co_flags & ~inspect.CO_GENERATOR)
    cells = tuple(CellType() for _ in code.co_freevars)
    signature = FunctionType(code, given.__globals__, given.__name__, given.__defaults__, cells)
    signature.__kwdefaults__ = given.__kwdefaults__
    for name in ("__module__", "__qualname__"):
        setattr(signature, name, getattr(given, name))
    signature.__annotations__ = {name: _known(hint, given.__globals__) for name, hint in given.__annotations__.items()}
    return functools.update_wrapper(through, signature)


def _known(hint: Any, names: dict[str, Any]) -> Any:
    """A hint in quotation marks is looked up; what is not defined yet, as a class inside of itself, may be anything."""
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, names)
    except NameError:
        return Any


def _of_arrays(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)) or any(
        map(_of_arrays, get_args(hint))
    )
