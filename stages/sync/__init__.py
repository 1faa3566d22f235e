"""Brings MLflow to hold what the records say: runs of trainings, rows with several seeds, and a network as a model."""
