"""From predictions to numbers. What is in this folder can change a reported number, and evaluate depends on it."""
