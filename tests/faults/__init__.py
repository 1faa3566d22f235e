"""What users and machines throw at the pipeline, thrown at the real one, and counted."""
