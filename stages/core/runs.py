"""The files of a run's folder, by their names."""

WEIGHTS, HISTORY, RECORD = "weights.safetensors", "history.json", "run.json"
