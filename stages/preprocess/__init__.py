"""From canonical bytes to arrays: reading, splitting, statistics, the augmented copy, sample sheets."""
