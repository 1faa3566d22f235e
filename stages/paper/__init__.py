"""The paper as printed: the one reader of `data/paper`."""
