"""The simulated hardware itself, run as the process that it is."""
