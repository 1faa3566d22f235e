"""The published files of each data set, by size and hash: `download` accepts no others, and arrays come from these."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileSpec:
    """One canonical file: its size in bytes, and two hashes (`dvc.lock` has md5)."""

    name: str
    size: int
    md5: str
    sha256: str


CANONICAL: dict[str, tuple[FileSpec, ...]] = {
    "mnist": (
        FileSpec(
            "train-images-idx3-ubyte",
            47040016,
            "6bbc9ace898e44ae57da46a324031adb",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        FileSpec(
            "train-labels-idx1-ubyte",
            60008,
            "a25bea736e30d166cdddb491f175f624",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        FileSpec(
            "t10k-images-idx3-ubyte",
            7840016,
            "2646ac647ad5339dbf082846283269ea",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        FileSpec(
            "t10k-labels-idx1-ubyte",
            10008,
            "27ae3e4e09519cfbb04c329615203637",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "cifar10": (
        FileSpec(
            "data_batch_1.bin",
            30730000,
            "5dd7e06a14cb22eb9f671a540d1b7c25",
            "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        ),
        FileSpec(
            "data_batch_2.bin",
            30730000,
            "5ea93a67294ea407fff1d09f752e9692",
            "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        ),
        FileSpec(
            "data_batch_3.bin",
            30730000,
            "942cd6a4bcdd0dd3c604fbe906cb4421",
            "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        ),
        FileSpec(
            "data_batch_4.bin",
            30730000,
            "ae636b3ba5c66a11e91e8cb52e771fcb",
            "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        ),
        FileSpec(
            "data_batch_5.bin",
            30730000,
            "53f37980c15c3d472c316c40844f3f0d",
            "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        ),
        FileSpec(
            "test_batch.bin",
            30730000,
            "803d5f7f4d78ea53de84dbe85f74fb6d",
            "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        ),
    ),
}
