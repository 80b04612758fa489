"""Data that come with the package, and densities made of images."""

import hashlib
import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.data import density_of_image, digits

TORUS = mf.Torus(48, dim=2)
DIGEST = "87ff0c9e40dc7e2c"  # of the bytes of scikit-learn's images and labels


def test_digits_are_those_of_the_source():
    images, labels = digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 8, 8), float, (1797,), int)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # the source's own table
    assert (images.min(), images.max()) == (0, 16)
    assert np.array_equal(images, images.astype(np.uint8))
    digest = hashlib.sha256(images.astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    assert digest.startswith(DIGEST)
    images[0] = 7  # a copy
    assert digits()[0][0].max() == 15


def test_density_is_the_blurred_image_by_direct_summation():
    """The Fourier series of the squares times that of the Gaussian, term by term, on the modes |k| < n/3."""
    torus, image, blur, share, margin = mf.Torus(24, dim=2), np.random.default_rng(0).random((3, 5)), 0.1, 0.3, 2
    side, x, y = 1 / (5 + 2 * margin), *torus.points
    expected = np.zeros(torus.shape, dtype=complex)
    for k in range(-7, 8):
        for m in range(-7, 8):
            smooth = np.sinc(k * side) * np.sinc(m * side) * np.exp(-0.5 * (2 * np.pi * blur) ** 2 * (k**2 + m**2))
            for row in range(3):
                for column in range(5):
                    a, b = 0.5 + (column - 2) * side, 0.5 + (1 - row) * side
                    expected += image[row, column] * smooth * np.exp(2j * np.pi * (k * (x - a) + m * (y - b)))
    expected = share + (1 - share) * expected.real / image.sum()
    rho = density_of_image(torus, image, blur=blur, background=share, margin=margin)
    np.testing.assert_allclose(rho.values, expected, rtol=0, atol=1e-13 * expected.max())


def test_density_has_mass_one_is_bounded_below_and_free_of_high_modes():
    for number, image in enumerate(digits()[0][:20]):
        rho = density_of_image(TORUS, image)
        assert rho.mass == pytest.approx(1, rel=1e-14)
        assert rho.values.min() >= 0.4 - 1e-4 * rho.values.max(), number
        modes = np.abs(np.fft.fft2(rho.values)) / TORUS.size
        high = np.abs(np.fft.fftfreq(48, 1 / 48)) >= 16
        assert max(modes[high].max(), modes[:, high].max()) <= 1e-15


def test_first_row_is_on_top_and_columns_run_to_the_right():
    image = np.zeros((8, 8))
    image[0, -1] = 1  # the upper right corner
    values = density_of_image(TORUS, image).values
    i, j = np.unravel_index(values.argmax(), values.shape)
    assert (i / 48, j / 48) == (pytest.approx(0.85, abs=0.011), pytest.approx(0.85, abs=0.011))
    image[-1, 0] = 3
    i, j = np.unravel_index(density_of_image(TORUS, image).values.argmax(), values.shape)
    assert max(i, j) / 48 < 0.2


def test_ink_has_no_unit():
    image = digits()[0][3]
    np.testing.assert_array_equal(density_of_image(TORUS, image).values, density_of_image(TORUS, 64 * image).values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torus": mf.Torus(48)}, "an image lives on a torus of dimension 2 (got dim=1); pass mf.Torus(n, dim=2)"),
        ({"image": np.zeros((8, 8))}, "an image must be >= 0 and not empty (got 0 to 0); invert or clip it"),
        ({"image": -np.ones((8, 8))}, "an image must be >= 0 and not empty (got -1 to -1); invert or clip it"),
        ({"image": np.ones(8)}, "an image must have shape (rows, columns) (got shape (8,)); pass one image"),
        ({"image": np.full((2, 2), np.nan)}, "image must be finite (got nan at index (0, 0)); pass grey values >= 0"),
        ({"background": 1.0}, "background must lie in (0, 1) (got 1.0); pass a share of the mass, as 0.4"),
        ({"blur": 0.0}, "blur must be positive (got 0.0); pass a width in periods, as 0.05"),
        ({"margin": -1}, "margin must be at least 0 (got -1); pass a number of pixels"),
        ({"blur": 0.02}, "a blur must be resolved on the kept modes |k| < 16 of n = 48 (got 0.02); take n = 105, or"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, message):
    torus, image = change.pop("torus", TORUS), change.pop("image", np.ones((8, 8)))
    with pytest.raises(ValueError) as info:
        density_of_image(torus, image, **change)
    assert str(info.value).startswith(message)


def test_the_remedies_for_an_unresolved_blur_are_remedies():
    with pytest.raises(ValueError, match="take n = ") as info:
        density_of_image(TORUS, np.ones((8, 8)), blur=0.02)
    n, blur = str(info.value).split("take n = ")[1].split(", or blur = ")
    density_of_image(TORUS, np.ones((8, 8)), blur=float(blur))
    density_of_image(mf.Torus(int(n), dim=2), np.ones((8, 8)), blur=0.02)
    assert int(n) < 2.2 / 0.02
    assert math.isclose(float(blur), 2.05 / 48, rel_tol=0.05)
