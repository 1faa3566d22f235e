"""Whether this machine and this checkout can run the pipeline: one line a check, with its cure."""
