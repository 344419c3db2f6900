"""What both ends of the fabric share: a connection that always comes back, and how requests are answered."""
