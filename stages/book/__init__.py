"""The book: one HTML file that holds every number of a budget with all that is behind it, and needs no server."""
