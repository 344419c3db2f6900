"""Device families: one folder each, behind the port in `port.py`."""
