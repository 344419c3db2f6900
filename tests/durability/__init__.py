"""Durability on the real store, under cuts of power."""
