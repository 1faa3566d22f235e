"""What every stage shares and no number depends on: errors, files, locks, progress."""
