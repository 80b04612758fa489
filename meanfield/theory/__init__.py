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
from .local_pl import ConvergenceCertificate, PLVerdict, certify_ball, certify_path, check_run
from .optimality import OptimalityCertificate, optimality_certificate
from .radial_network import RadialNetwork
from .residual_features import feature_gram, initial_dissipation, initial_rates
from .residual_network import ActivationBounds, ResidualBounds, certify_residual

__all__ = [
    "FIRST_EIGENVALUE",
    "ActivationBounds",
    "ConvergenceCertificate",
    "OptimalityCertificate",
    "PLVerdict",
    "RadialNetwork",
    "ResidualBounds",
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
    "certify_ball",
    "certify_path",
    "certify_residual",
    "check_run",
    "crossover_time",
    "dissipation_bound",
    "feature_gram",
    "initial_dissipation",
    "initial_rates",
    "mode_rate",
    "optimality_certificate",
    "relaxation_rate",
    "second_moment_rate",
    "self_similar_exponents",
    "two_point_eigenvalue",
]
