"""From predictions to numbers, and the report and matrix beside them. Evaluations and tables depend on all of it."""
