"""The demo's workbench: badges, doors, cables and power of the simulated hardware, through the rig's own socket."""
