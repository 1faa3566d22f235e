"""Every number answers for itself: where it comes from, and whether that holds."""
