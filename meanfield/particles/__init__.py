"""Particles and fields: modes of clouds, fields at particles."""
