"""Weights from a server: whether it can be reached, asked once and quickly, and the error if they cannot be had."""

import ssl
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch

from pliant._checks import InputError

TIMEOUT = 10.0


def no_weights(name: str, reason: str) -> InputError:
    """The error that names the model, the reason and what can be done without a download."""
    return InputError(
        f"the weights of {name} cannot be had ({reason}). Give a file with --weights FILE (weights=FILE), "
        "or take the model without with --untrained (pretrained=False)"
    )


def in_torch_cache(url: str) -> bool:
    """Whether torch's hub has downloaded the file before."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name).is_file()


def unreachable(url: str) -> str | None:
    """Why the server of `url` cannot be reached, within 10 seconds; None if it answers anything at all.

    The hub's library and timm try each of their files again and again, for most of a minute, where there is no network.
    Proxies of the environment are used. A certificate that is not trusted counts as an answer, since the library that
    downloads may trust others.
    """
    server = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
    try:
        urlopen(Request(server, method="HEAD"), timeout=TIMEOUT).close()
    except HTTPError:
        return None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return None
        return f"{server} cannot be reached: {told(error.reason)}"
    except OSError as error:
        return f"{server} cannot be reached: {told(error)}"
    return None


def told(error: object) -> str:
    """An error of another library in one line."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
