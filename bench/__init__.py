"""The figures of docs/reference/figures.md: each with its limit measured in the same run. `make bench` runs all."""
