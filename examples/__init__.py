"""Short programs that use the results."""
