"""Data that come with the package, and densities made of images."""

from __future__ import annotations

import math

import numpy as np

from . import _check
from ._share_paths import shared_folder
from .measures import TorusDensity
from .torus import Torus

UNRESOLVED = 1e-4  # what the Gaussian may have left of itself at the first mode that is cut off


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1797 handwritten digits of 8 × 8 pixels that come with the package.

    Returns
    -------
    images : (1797, 8, 8) float — ink of the pixels, 0 to 16, first row on top
    labels : (1797,) int — the digits, 0 to 9

    References
    ----------
    Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits; ``data/README.md``.

    Examples
    --------
    >>> from meanfield.data import digits
    >>> images, labels = digits()
    >>> print(images.shape, labels[:10])
    (1797, 8, 8) [0 1 2 3 4 5 6 7 8 9]
    """
    import h5py

    with h5py.File(shared_folder("data") / "digits.h5", "r", locking=False) as file:
        return file["images"][...].astype(np.float64), file["labels"][...].astype(np.int64)


def density_of_image(
    torus: Torus, image: np.ndarray, *, blur: float = 0.05, background: float = 0.4, margin: int = 1
) -> TorusDensity:
    """The density of mass 1 that a grey image is on the two-dimensional torus: blurred, and bounded below.

        ρ = b + (1 − b) G_w * Σ_p a_p 1_p / Σ_p a_p |p|

    with the ink ``a_p`` of pixel p, a square of side ``h = 1/(max(rows, columns) + 2 margin)``, around the centre of
    the torus; x runs along the rows, y upwards. The Gaussian ``G_w`` is periodic, the product of its Fourier series
    with the squares' is cut at the modes ``|k_a| < n/3``: products with a velocity are free of aliasing.

    Parameters
    ----------
    torus : Torus — of dimension 2
    image : (rows, columns) float — ink ≥ 0, first row on top
    blur : float — w, standard deviation of the Gaussian; about half of h keeps what is drawn and hides the pixels
    background : float — b in (0, 1), the share of the mass spread evenly
    margin : int — empty pixels around the image

    Returns
    -------
    TorusDensity — mass 1; min ρ ≥ b up to what the cut leaves of the Gaussian (1e-4 of the image's greatest value)

    Raises
    ------
    ValueError, TypeError
        For another dimension, an image that is empty, negative or not finite, and a Gaussian that the kept modes do not
        resolve: ``e^{−(2πwn/3)²/2}`` above 1e-4.

    Notes
    -----
    Cost: two dense products, O(n·rows·columns + n²·columns).

    Examples
    --------
    >>> import meanfield as mf
    >>> images, labels = mf.data.digits()
    >>> mf.data.density_of_image(mf.Torus(64, dim=2), images[3])
    TorusDensity(mass=1, min=0.4, max=3.16712, torus=Torus(n=64, dim=2, spacing=0.015625))
    """
    if not isinstance(torus, Torus):
        raise TypeError(f"torus must be a Torus (got {type(torus).__name__}); pass mf.Torus(n, dim=2)")
    if torus.dim != 2:
        raise _check.fail("an image lives on a torus of dimension 2", f"dim={torus.dim}", "pass mf.Torus(n, dim=2)")
    ink = _check.array("image", image, "pass grey values >= 0")
    if ink.ndim != 2 or ink.size == 0:
        raise _check.fail("an image must have shape (rows, columns)", f"shape {ink.shape}", "pass one image")
    if ink.min() < 0 or not ink.max() > 0:
        raise _check.fail("an image must be >= 0 and not empty", f"{ink.min():g} to {ink.max():g}", "invert or clip it")
    blur = _check.positive("blur", blur, "pass a width in periods, as 0.05")
    if not 0 < _check.real("background", background, "pass a share, as 0.4") < 1:
        raise _check.fail("background must lie in (0, 1)", repr(background), "pass a share of the mass, as 0.4")
    margin = _check.integer("margin", margin, "pass a number of pixels", at_least=0)
    kept = -(-torus.n // 3)
    if math.exp(-0.5 * (2 * math.pi * blur * kept) ** 2) > UNRESOLVED:
        widest = math.sqrt(-2 * math.log(UNRESOLVED)) / (2 * math.pi)
        raise _check.fail(
            f"a blur must be resolved on the kept modes |k| < {kept} of n = {torus.n}",
            repr(blur),
            f"take n = {3 * math.ceil(widest / blur)}, or blur = {math.ceil(1e3 * widest / kept) / 1e3:g}",
        )
    side = 1.0 / (max(ink.shape) + 2 * margin)
    along_y, along_x = (_bumps(torus.n, kept, count, side, blur) for count in ink.shape)
    image_density = along_x @ (ink[::-1].T / ink.sum()) @ along_y.T
    return TorusDensity(background + (1 - background) * image_density, torus, normalise=True)


def _bumps(n: int, kept: int, count: int, side: float, blur: float) -> np.ndarray:
    """Blurred intervals of length ``side`` side by side around 1/2, each of mean 1, at n points: (n, count)."""
    k = np.arange(1, kept)
    modes = np.sinc(k * side) * np.exp(-0.5 * (2 * np.pi * blur * k) ** 2)
    centres = 0.5 + side * (np.arange(count) - 0.5 * (count - 1))
    distances = np.arange(n)[:, None] / n - centres
    return 1.0 + 2.0 * np.cos(2 * np.pi * distances[..., None] * k) @ modes
