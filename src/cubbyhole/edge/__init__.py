"""The bank controller: it decides, journals, unlocks and observes, with or without a network."""
