"""Drivers on simulated boards: real bytes on a paced pty."""
