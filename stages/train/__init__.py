"""Stage `train`: one cell with one seed."""
