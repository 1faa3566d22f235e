"""The runs of rows with several seeds: one for each row, the parent of its seeds' runs."""

from collections.abc import Sequence
from typing import Any

from filelock import FileLock

from stages.track.describe import ADDED, COMPLETED, THERE
from stages.track.store.runs import Store, StoredRun, cut

_LOCK = "mlflow.db.rows.lock"
_PARENT = "mlflow.parentRunId"
_LOCKED = 5.0  # seconds that another process may be at the rows


class RowRuns:
    """The runs of rows in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def sync(self, row: dict[str, Any], whole: bool) -> str:
        """Bring a row's run (`stages.sync.rows`) to hold what it should, and its seeds' runs to be its children.

        Returns ADDED, COMPLETED or THERE. Of several runs of a row, as two machines may have made, one stays.
        MLflow changes no parameter: where the settings are others, the run is made anew. It takes no metric back
        either: a run with a metric that the row no longer has, as after a seed was taken out, is made anew if all
        results were looked at (`whole`); a stage sees those alone that are there as it ends.
        """
        tags = row["tags"]
        place = f"tags.budget = '{tags['budget']}' AND tags.cell = '{tags['cell']}'"
        with FileLock(_LOCK, timeout=_LOCKED):
            found = self.store.search(f"{place} AND tags.kind = 'row'")
            found.sort(key=lambda run: (run.deleted, run.start_time, run.run_id))
            done = THERE if found and self._holds(found[0], row) else COMPLETED if found else ADDED
            run_id = found[0].run_id if found else ""
            if done is not THERE:
                run_id = self._write_row(found[0] if found else None, row, whole)
            for other in found:
                if other.run_id != run_id and not other.deleted:
                    self.store.client.delete_run(other.run_id)
            trainings = self.store.search(f"{place} AND tags.dvc_stage LIKE 'train-%'")
            nested = self._nest(run_id, row, {run_id, *(run.run_id for run in found)}, trainings)
        return COMPLETED if nested and done is THERE else done

    def _holds(self, run: StoredRun, row: dict[str, Any]) -> bool:
        return (
            not run.deleted
            and run.status == "FINISHED"
            and row["tags"].items() <= run.tags.items()
            and run.metrics == row["metrics"]
            and run.params == cut(row["parameters"])
        )

    def _write_row(self, run: StoredRun | None, row: dict[str, Any], whole: bool) -> str:
        """Write a row into its run, or into a new one, and return its id."""
        if run and not run.params.items() <= cut(row["parameters"]).items():
            return self._write_row(None, row, whole)
        if run is None:
            experiment = self.store.experiment(row["experiment"])
            made = self.store.client.create_run(experiment, row["start_time"], row["tags"], row["run_name"])
            run_id = made.info.run_id
        else:
            run_id = run.run_id
            if run.deleted:
                self.store.restore(run)
        self.store.metrics(run_id, [(row["metrics"], row["end_time"], 0)])
        if run and whole and self.store.client.get_run(run_id).data.metrics != row["metrics"]:
            self.store.client.delete_run(run_id)
            return self._write_row(None, row, whole)
        self.store.parameters(run_id, row["parameters"])
        self.store.tags(run_id, row["tags"])
        self.store.close(run_id, "FINISHED", row["end_time"])
        return run_id

    def _nest(self, run_id: str, row: dict[str, Any], rows: set[str], runs: Sequence[StoredRun]) -> bool:
        """Set the parents of a row's trainings, and return whether any has changed.

        The trainings of the row's results become children of its run `run_id`. A training that is not one of them and
        is a child of one of `rows`, the runs that this row has or had, loses its parent.
        """
        children, changed = {tuple(identity) for identity in row["children"]}, False
        for run in runs:
            parent = run.tags.get(_PARENT)
            if run.deleted:
                continue
            if (run.tags["dvc_stage"], run.start_time) in children:
                if parent != run_id:
                    self.store.client.set_tag(run.run_id, _PARENT, run_id)
                    changed = True
            elif parent in rows:
                self.store.client.delete_tag(run.run_id, _PARENT)
                changed = True
        return changed

    def remove(self, budget: str, cells: set[str]) -> int:
        """Delete the rows' runs of some cells, whose trainings then have no parent; returns how many."""
        with FileLock(_LOCK, timeout=_LOCKED):
            found = self.store.search(f"tags.budget = '{budget}' AND tags.kind = 'row'")
            rows = [run for run in found if run.tags.get("cell") in cells]
            removed = {run.run_id for run in rows}
            for run in self.store.trainings(budget) if rows else []:
                if not run.deleted and run.tags.get(_PARENT) in removed:
                    self.store.client.delete_tag(run.run_id, _PARENT)
            there = [run for run in rows if not run.deleted]
            for run in there:
                self.store.client.delete_run(run.run_id)
        return len(there)
