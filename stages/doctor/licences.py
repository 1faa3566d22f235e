"""List the licences of what is installed, as the packages' own metadata say.

    python -m stages.doctor.licences

Out: a line for each installed distribution, by licence, on standard output.
"""

import re
from collections import defaultdict
from importlib.metadata import Distribution, distributions

_LONGEST = 60  # characters: some packages put the whole text into the field
_CLASSIFIER = "License :: "


def main() -> None:
    """Print the licences, each with the packages under it."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in distributions():
        found[licence(one)].append(f"{one.metadata['Name']} {one.version}")
    for name, packages in sorted(found.items()):
        print(f"{name}: {', '.join(sorted(set(packages), key=str.casefold))}")


def licence(one: Distribution) -> str:
    """The licence of a distribution: its expression, else its classifiers, else the first line of the old field."""
    metadata = one.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith(_CLASSIFIER)]
    names = [line.removeprefix(_CLASSIFIER).removeprefix("OSI Approved").removeprefix(" :: ") for line in classifiers]
    if named := " or ".join(filter(None, names)):
        return named
    lines = (metadata.get_all("License") or [""])[0].strip().splitlines()
    return re.sub(r"\s+", " ", lines[0])[:_LONGEST] if lines else "not said"


if __name__ == "__main__":
    main()
