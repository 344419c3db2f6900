"""Banks as the server sees them: their journals come in, their pictures go out."""
