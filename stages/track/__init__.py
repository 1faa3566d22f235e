"""The MLflow mirror: for looking and comparing. Nothing is computed from it; lost, it is rebuilt from the records."""
