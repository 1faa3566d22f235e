"""The one package that imports MLflow: its database, and the runs, rows and models in it."""
