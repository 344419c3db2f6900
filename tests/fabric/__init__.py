"""Tests of the fabric with a real nats-server on loopback."""
