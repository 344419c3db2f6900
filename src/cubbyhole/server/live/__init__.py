"""The live picture: what changed goes to every open page as it commits."""
