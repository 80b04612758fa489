"""Models: what a state predicts, its risk, and the exact derivative of the discrete risk. No optimiser."""

from .activations import Activation, cos, erf, relu, sigmoid, softplus, tanh
from .density_node import DensityNODE
from .gaussian_inputs import GaussianInputs
from .losses import HingeLoss, HuberLoss, LogisticLoss, Loss, SquareLoss
from .resnet import ResNet
from .two_layer import TwoLayer

__all__ = [
    "Activation", "DensityNODE", "GaussianInputs", "HingeLoss", "HuberLoss", "LogisticLoss", "Loss", "ResNet",
    "SquareLoss", "TwoLayer", "cos", "erf", "relu", "sigmoid", "softplus", "tanh",
]  # fmt: skip
