"""Pure rules of lockers: no I/O, no clock, no randomness; standard library only."""
