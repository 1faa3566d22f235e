"""Trained networks as logged models of their runs."""

import warnings
from importlib.metadata import version
from typing import Any

from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from stages.track.store.runs import Store, StoredRun


class Models:
    """The logged models in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def of_run(self, run: StoredRun, name: str) -> list[tuple[str, dict[str, str]]]:
        """Id and tags of the models of this name that were logged for a run."""
        wanted = f"source_run_id = '{run.run_id}' AND name = '{name}'"
        found = self.store.client.search_logged_models(experiment_ids=[run.experiment_id], filter_string=wanted)
        return [(one.model_id, one.tags) for one in found if one.status == LoggedModelStatus.READY]

    def log(self, run: StoredRun, name: str, network: Any, example: Any, logits: Any, tags: dict[str, str]) -> str:
        """Log a torch module as a model of a run, which does not list it before `accept`; return the model's id.

        The format is PyTorch's exported program, in which nothing is pickled; `example` (n, channels, side, side) and
        `logits` (n, classes) are numpy arrays, of which the signature is made.
        """
        import mlflow.pytorch
        from mlflow.models import infer_signature

        mlflow.set_tracking_uri(self.store.uri)
        parameters = self.store.client.get_run(run.run_id).data.params
        made = self.store.client.create_logged_model(
            run.experiment_id, name, source_run_id=run.run_id, tags=tags, params=parameters, model_type="classifier"
        )
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="No complete tensor found in the group")  # views of masters
                mlflow.pytorch.log_model(
                    network,
                    model_id=made.model_id,
                    serialization_format="pt2",
                    signature=infer_signature(example, logits),
                    input_example=example,
                    pip_requirements=[f"torch=={version('torch').partition('+')[0]}", f"mlflow=={version('mlflow')}"],
                )
        except BaseException:
            self.store.client.delete_logged_model(made.model_id)
            raise
        return made.model_id

    def accept(self, run: StoredRun, model_id: str, tags: dict[str, str]) -> None:
        """Make a logged model an output of its run, which stays as it is otherwise; then set tags of the model."""
        self.store.client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
        self.store.client.set_logged_model_tags(model_id, tags)

    def load(self, model_id: str) -> Any:
        """A logged model as MLflow gives it back: a torch module."""
        import mlflow.pytorch

        mlflow.set_tracking_uri(self.store.uri)
        return mlflow.pytorch.load_model(f"models:/{model_id}")

    def remove(self, model_id: str) -> None:
        """Delete a logged model."""
        self.store.client.delete_logged_model(model_id)
