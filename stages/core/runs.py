"""The files of a run's folder, by their names, and the end of its checkpoint's, which lies beside the folder."""

WEIGHTS, HISTORY, RECORD = "weights.safetensors", "history.json", "run.json"
CHECKPOINT = ".checkpoint"
