"""What banks and the server say to each other: messages, journal lines, signatures."""
