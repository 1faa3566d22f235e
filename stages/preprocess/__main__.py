"""Stage 2: canonical bytes -> arrays that training and evaluation read.

    python -m stages.preprocess mnist --budget quick --raw data/raw/mnist --samples-out reports/quick/samples/mnist \\
        --train-out data/processed/quick/mnist/train --test-out data/processed/quick/mnist/test

In:  the canonical files of a data set (stage `download`), `datasets.<data set>` of params.yaml, and how many augmented
     copies the budget asks for: those of the first training images.
Out: <train-out>/ train_images, train_labels, augmented_images, validation_images, validation_labels (.npy, uint8) and
     dataset.json (sizes, classes, mean and standard deviation of the training split, sha256 of each array);
     <test-out>/ images, labels (.npy); <samples-out>/ plain.png, augmented.png (the paper's Figs. 1 and 2).
The same bytes on every run: the split comes from a seeded permutation, each augmented image from (seed, its index).
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from stages.config.loading import load_params
from stages.config.params import resolve_count
from stages.config.schema import DATASETS, DatasetSettings
from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION
from stages.core.files import atomic_path, file_hash
from stages.core.locks import exclusive
from stages.core.progress import say, track
from stages.engine.augmentation import Augmentation
from stages.preprocess.copies import CHUNK, augmented_chunks
from stages.preprocess.raw import READERS, Images
from stages.preprocess.samples import sample_sheet
from stages.preprocess.split import channel_statistics, split
from stages.records.canonical import CANONICAL
from stages.records.data import DatasetDescription


@click.command()
@click.argument("dataset", type=click.Choice(DATASETS))
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--raw", type=click.Path(path_type=Path), required=True, help="folder of the canonical files")
@click.option("--train-out", type=click.Path(path_type=Path), required=True)
@click.option("--test-out", type=click.Path(path_type=Path), required=True)
@click.option("--samples-out", type=click.Path(path_type=Path), required=True)
def main(dataset: str, budget: str | None, raw: Path, train_out: Path, test_out: Path, samples_out: Path) -> None:
    """Turn the canonical files of DATASET into arrays."""
    params = load_params()
    settings = params.datasets.of(dataset)
    copies = resolve_count(params.chosen_budget(budget).augmented_images.of(dataset), settings.train_images)
    with exclusive(train_out):
        preprocess(dataset, settings, copies, raw, train_out, test_out, samples_out)
    parts = f"{settings.train_images} + {settings.validation_images} + {settings.test_images}"
    say(f"preprocess {dataset}: {parts} images, {copies} augmented copies")


def preprocess(
    dataset: str, settings: DatasetSettings, copies: int, raw: Path, train_out: Path, test_out: Path, samples_out: Path
) -> None:
    """Read, split, augment and write; dataset.json last."""
    whole = checked(READERS[dataset](raw, "train"), settings.train_images + settings.validation_images, settings, raw)
    test = checked(READERS[dataset](raw, "test"), settings.test_images, settings, raw)

    arrays = training_arrays(whole, settings)
    copied = arrays["train_images"][:copies]
    augmentation = Augmentation(**settings.augmentation.model_dump())
    arrays["augmented_images"] = augmented_copy(copied, augmentation, f"augment {dataset}")
    hashes = {name: save_array(train_out / f"{name}.npy", array) for name, array in arrays.items()}
    for name, array in test._asdict().items():
        hashes[f"test_{name}"] = save_array(test_out / f"{name}.npy", array)
    for kind, images in (("plain", arrays["train_images"]), ("augmented", arrays["augmented_images"])):
        with atomic_path(samples_out / f"{kind}.png") as temporary:
            sample_sheet(images, arrays["train_labels"][: len(images)], len(settings.classes)).save(temporary)
    described = description(dataset, settings, copies, raw, arrays["train_images"], hashes)
    described.write(train_out / DESCRIPTION)


def checked(part: Images, count: int, settings: DatasetSettings, source: Path) -> Images:
    """The images, once their number, shape and labels are what params.yaml says. Raises CorruptFileError."""
    shape = (count, settings.channels, settings.size, settings.size)
    if part.images.shape != shape or part.labels.shape != (count,):
        raise CorruptFileError(source, f"images {part.images.shape}, labels {part.labels.shape}", f"images {shape}")
    if int(part.labels.max()) >= len(settings.classes):
        raise CorruptFileError(source, f"label {part.labels.max()}", f"labels below {len(settings.classes)}")
    return part


def training_arrays(whole: Images, settings: DatasetSettings) -> dict[str, NDArray[np.uint8]]:
    """The training and validation arrays of the split that params.yaml describes."""
    train, validation = split(len(whole.labels), settings.train_images, settings.validation_images, settings.split_seed)
    return {
        "train_images": whole.images[train],
        "train_labels": whole.labels[train],
        "validation_images": whole.images[validation],
        "validation_labels": whole.labels[validation],
    }


def augmented_copy(images: NDArray[np.uint8], augmentation: Augmentation, what: str) -> NDArray[np.uint8]:
    """One transformed copy of each image, in the same order."""
    return np.concatenate(list(track(augmented_chunks(images, augmentation), -(-len(images) // CHUNK), what)))


def save_array(path: Path, array: NDArray[np.uint8]) -> str:
    """Write an array as .npy and return the file's sha256."""
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)
    return file_hash(path, "sha256")


def description(
    dataset: str,
    settings: DatasetSettings,
    copies: int,
    raw: Path,
    train_images: NDArray[np.uint8],
    hashes: dict[str, str],
) -> DatasetDescription:
    """What training and evaluation need to know of the data set, and what its arrays are."""
    mean, std = channel_statistics(train_images)
    files = [raw / spec.name for spec in CANONICAL[dataset]]
    return DatasetDescription.model_validate(
        {
            "dataset": dataset,
            "channels": settings.channels,
            "size": settings.size,
            "classes": settings.classes,
            "images": {
                "train": settings.train_images,
                "validation": settings.validation_images,
                "test": settings.test_images,
                "augmented": copies,
            },
            "mean": mean,
            "std": std,
            "sha256": hashes,
            "made_from": {
                "settings": settings.model_dump(exclude={"title"}),
                "raw_md5": {file.name: file_hash(file) for file in files},
                "raw_sha256": {file.name: file_hash(file, "sha256") for file in files},
            },
        }
    )


if __name__ == "__main__":
    main()
