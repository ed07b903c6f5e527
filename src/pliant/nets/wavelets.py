"""Wavelet scattering: a representation that is stable by construction, never trained. Bruna and Mallat 2013."""

from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import InputError, require


@final
class Scattering(nn.Module):
    """The scattering transform of each channel; made by `scattering`. Its filters are buffers, none is trained."""

    def __init__(self, transform: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.transform, self.size = transform, size

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n ck hh ww"]:
        """All coefficients of a channel stand together, first the average. Raises `InputError` for another size."""
        found = tuple(images.shape[-2:])
        require(
            found == self.size,
            f"this scattering is for images of {self.size[0]}x{self.size[1]}, got {found[0]}x{found[1]}: make one "
            f"with size={found}",
        )
        return self.transform(images.contiguous()).flatten(1, 2)


def scattering(J: int = 2, L: int = 8, size: int | tuple[int, int] = 32) -> Scattering:
    """Wavelet scattering of order 2 as a net without weights, a reference to measure trained nets beside.

    Of images (n, c, h, w) it gives (n, c * K, h // 2^J, w // 2^J), K = 1 + J L + L^2 J (J - 1) / 2: averages over 2^J
    pixels of the image, of the moduli of its wavelet coefficients, and of theirs. Bruna and Mallat 2013, "Invariant
    scattering convolution networks"; computed by kymatio (Andreux et al. 2020), with the border reflected.

    J: log2 of the scale. L: angles of the wavelets, which are designed for 8. size: of the images, pixels, or (h, w).

    Needs the extra `scattering`. Raises `InputError` without it, for J or L below 1, and for images below 2^J pixels.
    """
    height, width = (size, size) if isinstance(size, int) else size
    require(J >= 1 and L >= 1, f"J={J}, L={L}: a scattering has at least 1 scale and 1 angle")
    require(
        min(height, width) >= 2**J,
        f"J={J}: a scale of {2**J} pixels does not fit into images of {height}x{width}: take a lower J",
    )
    return Scattering(_frontend()(J, (height, width), L), (height, width))


def _frontend() -> Any:
    """kymatio's transform of images.

    Imported from its own module: `kymatio.torch` loads the transform of volumes, too, which asks SciPy for a function
    that SciPy 1.17 no longer has.
    """
    try:
        from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D
    except ModuleNotFoundError:
        raise InputError("scattering needs kymatio: pip install 'pliant[scattering]'") from None
    return ScatteringTorch2D
