"""The server's features on both databases."""
