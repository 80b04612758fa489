"""Networks as functions of measures: predictions, risks and gradients in the mean-field scaling; no optimiser."""

from .activations import Activation, cos, erf, relu, sigmoid, softplus, tanh
from .losses import HingeLoss, HuberLoss, LogisticLoss, Loss, SquareLoss
from .resnet import ResNet
from .two_layer import TwoLayer

__all__ = [
    "Activation", "HingeLoss", "HuberLoss", "LogisticLoss", "Loss", "ResNet", "SquareLoss", "TwoLayer", "cos", "erf",
    "relu", "sigmoid", "softplus", "tanh",
]  # fmt: skip
