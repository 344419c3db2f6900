"""Cubbyhole: smart lockers for workplaces."""

__version__ = "0.1.0"
