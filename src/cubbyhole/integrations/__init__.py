"""Other systems, each behind a port of the server."""
