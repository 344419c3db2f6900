"""Simulated parts of the world: boards and readers on the wire, and the seeded world."""
