"""Many trainings at once: what is pending, the Dask cluster that runs it, the live view."""
