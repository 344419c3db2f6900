"""Simulated lock boards, readers and network cables in a process of their own. See README.md beside this file."""
