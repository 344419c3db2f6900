"""Who is told what, and by which way: notices to people, links in them that act with one tap."""
