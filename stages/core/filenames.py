"""The files of a run's folder, by their names, the end of its checkpoint's, which lies beside the folder, and the
file in a training set's folder that describes it.
"""

WEIGHTS, HISTORY, RECORD = "weights.safetensors", "history.json", "run.json"
CHECKPOINT = ".checkpoint"
DESCRIPTION = "dataset.json"
