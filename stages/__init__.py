"""The pipeline: five thin stage modules over the packages that do the work."""
