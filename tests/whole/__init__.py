"""Tests against a whole running house: server, nats-server, controllers and simulated hardware as real processes."""
