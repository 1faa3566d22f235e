"""The MLflow mirror: for looking and comparing. Nothing is computed from it, and it can be lost."""
