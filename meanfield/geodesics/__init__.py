"""Geodesics of flows of the torus: shooting of landmarks and of densities, and the geodesic between two densities."""

from .between import Connection, between
from .densities import DensityGeodesic, shoot_density
from .landmarks import LandmarkGeodesic, shoot_landmarks

__all__ = ["Connection", "DensityGeodesic", "LandmarkGeodesic", "between", "shoot_density", "shoot_landmarks"]
