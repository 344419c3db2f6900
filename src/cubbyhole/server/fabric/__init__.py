"""The server end of the fabric: nats-server, the authority, who may connect, and the link to the banks."""
