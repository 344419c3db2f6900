"""The seeded world: what must always hold, and that its checkers notice when it does not."""
