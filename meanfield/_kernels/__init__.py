"""Compiled kernels, each beside its NumPy twin; imported where they are first needed, never by ``import meanfield``."""
