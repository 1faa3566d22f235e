"""What every stage shares and no number depends on, but for `settings`: errors, files, parameters, provenance."""
