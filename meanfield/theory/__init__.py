"""Closed forms, decay laws and certificates that runs are compared with; one source a file, NumPy and SciPy only."""

from .barenblatt import (
    barenblatt,
    barenblatt_constant,
    barenblatt_height,
    barenblatt_radius,
    barenblatt_second_moment,
    barenblatt_time,
)
from .barenblatt_cells import barenblatt_cell_means
from .barenblatt_quantiles import barenblatt_distribution, barenblatt_quantile_means
from .decay import (
    FIRST_EIGENVALUE,
    dissipation_bound,
    relaxation_rate,
    second_moment_rate,
    self_similar_exponents,
    two_point_eigenvalue,
)
from .kernelised import algebraic_exponent, crossover_time, mode_rate
from .optimality import OptimalityCertificate, optimality_certificate
from .radial_network import RadialNetwork

__all__ = [
    "FIRST_EIGENVALUE",
    "OptimalityCertificate",
    "RadialNetwork",
    "algebraic_exponent",
    "barenblatt",
    "barenblatt_cell_means",
    "barenblatt_constant",
    "barenblatt_distribution",
    "barenblatt_height",
    "barenblatt_quantile_means",
    "barenblatt_radius",
    "barenblatt_second_moment",
    "barenblatt_time",
    "crossover_time",
    "dissipation_bound",
    "mode_rate",
    "optimality_certificate",
    "relaxation_rate",
    "second_moment_rate",
    "self_similar_exponents",
    "two_point_eigenvalue",
]
