"""File names in a run folder and in a data set's folder.

The checkpoint lies beside the run folder, with suffix `.checkpoint`.
"""

WEIGHTS, HISTORY, RECORD = "weights.safetensors", "history.json", "run.json"
CHECKPOINT = ".checkpoint"
DESCRIPTION = "dataset.json"
