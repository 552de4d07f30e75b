"""What the sessions of a store did: kept for a while, for people to look at."""
