"""Checks the record of the networks against params.yaml and the results, and their pages against the record.

The record is `networks.json`, from which the pages and drawings beside it are rendered. The results have the sizes of
the network that was trained. Only building the networks anew tells whether each layer is right (`verify --weights`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.architectures.groups import groups_of_cells
from stages.architectures.pages import architecture_files
from stages.audit.compare import PageFindings
from stages.audit.findings import Finding, broken, differences, invalid, judged, missing, note
from stages.audit.numbers import Number
from stages.audit.recount import first_difference
from stages.audit.workspace import Workspace
from stages.core.regular import LARGEST_TEXT, is_there, read_regular
from stages.records.architecture import NETWORKS, Network, NetworkGroup, Networks
from stages.records.evaluation import Evaluation
from stages.records.lineage import majority


def check_architectures(workspace: Workspace, results: dict[Number, Evaluation], printed: PageFindings) -> None:
    """Hold the record of the networks against params.yaml and the `results`, and every page against the record."""
    stage = workspace.stages.architectures()
    where = stage.option("out") / NETWORKS
    if not is_there(where):
        return  # said of the stage's entry in dvc.lock
    printed.add([], *judged(where, _checked(where, results, workspace, printed)))


def _checked(
    where: Path, results: dict[Number, Evaluation], workspace: Workspace, printed: PageFindings
) -> Iterator[Finding]:
    found, outdated = _read(where, workspace), workspace.edited(workspace.stages.architectures())
    if found.budget != workspace.budget:
        yield broken(f"{where}, budget", found.budget, f"{workspace.budget}, whose networks lie there")
    for name, times in Counter(one.name for one in found.networks).items():
        if times > 1:
            yield invalid(where, f"network {name} stands there {times} times")
    yield from _of_record(where, found, workspace, outdated)
    yield from _pages(where, found, workspace, outdated)
    for network in found.networks:
        yield from _trained(where, network, results, workspace, printed)


def build_anew(numbers: Iterable[Number] | None, workspace: Workspace) -> Iterator[Finding]:
    """Differences between the recorded networks, of some numbers or all, and those that the code here builds."""
    stage = workspace.stages.architectures()
    where = stage.option("out") / NETWORKS
    if not is_there(where):
        return
    from stages.architectures.build import built_networks  # waits for PyTorch

    cells = None if numbers is None else {str(number.key) for number in numbers}
    built = _by_layer(built_networks(workspace.params, workspace.budget, cells))
    recorded = _by_layer(_read(where, workspace))
    found = {name: one for name, one in recorded.items() if name in built}
    wrong = differences(str(where), found, built, "as it is built", workspace.edited(stage))
    yield from wrong
    if not wrong:
        yield note(f"{where}: {len(built)} of {len(recorded)} networks built anew, as recorded")


def _read(where: Path, workspace: Workspace) -> Networks:
    return Networks.read(where, workspace.stages.architectures().name)


def _of_record(where: Path, found: Networks, workspace: Workspace, outdated: bool) -> Iterator[Finding]:
    """The record by itself: the cells that build each network, and the sums over its layers and blocks."""
    asked = {one.name: one.model_dump() for one in groups_of_cells(workspace.params, workspace.budget)}
    listed = {one.name: {name: getattr(one, name) for name in NetworkGroup.model_fields} for one in found.networks}
    yield from differences(str(where), listed, asked, "by params.yaml", outdated)
    for network in found.networks:
        sizes = {name: getattr(network, name) for name in ("parameters", "multiply_adds")}
        for kind, sums in (("layers", _sums(network)), ("blocks", _sums_of_blocks(network))):
            yield from differences(f"{where}, {network.name}", sizes, sums, f"the sum over its {kind}")


def _sums(network: Network) -> dict[str, int]:
    """The sizes by the layers: one that is called twice has its parameters once; training alone multiplies nothing."""
    return {
        "parameters": sum({layer.name: layer.parameters for layer in network.layers}.values()),
        "multiply_adds": sum(layer.multiply_adds for layer in network.layers if not layer.training_only),
    }


def _sums_of_blocks(network: Network) -> dict[str, int]:
    return {name: sum(getattr(block, name) for block in network.blocks) for name in ("parameters", "multiply_adds")}


def _pages(where: Path, found: Networks, workspace: Workspace, outdated: bool) -> Iterator[Finding]:
    """Each page and drawing against the record that it is rendered from, and files beside them."""
    stage, folder, files = workspace.stages.architectures(), where.parent, architecture_files(found)
    for name, expected in files.items():
        path = folder / name
        if not is_there(path):
            yield missing(path, f"dvc repro {stage.name}")
            continue
        text = read_regular(path, stage.name, LARGEST_TEXT).decode(errors="replace")
        if text != expected:
            line, given = first_difference(text, expected)
            yield broken(path, line, f"{given} (rendered from {where})", outdated)
    for path in sorted(folder.iterdir()):
        if path.name not in files:
            yield broken(path, "a file", f"no such file, by {where}", outdated)


def _trained(
    where: Path, network: Network, results: dict[Number, Evaluation], workspace: Workspace, printed: PageFindings
) -> Iterator[Finding]:
    """Parameters and multiply-adds of a network against those that the trainings of its cells have recorded.

    Where most places say another thing than one result, that is about its number; else it is about the page. A result
    of other code than today's has no say: its network may have been another one.
    """
    for name in ("parameters", "multiply_adds"):
        listed, place = getattr(network, name), f"{where}, {network.name}, {name}"
        said = {one: getattr(of.run.network, name) for one, of in results.items() if of.cell in network.cells}
        if all(size == listed for size in said.values()):
            continue
        places = {number: f"{workspace.result(number)}, run.network.{name}" for number in said}
        today = {number: size for number, size in said.items() if _is_of_today(results[number], workspace)}
        most = majority(map(str, (listed, *today.values())))
        if most not in (None, str(listed)):
            yield broken(
                place, listed, f"{most} ({next(places[one] for one, size in today.items() if str(size) == most)})"
            )
        for number, size in said.items():
            if number not in today and size != listed:
                printed.add([number], broken(places[number], size, f"{listed} ({place})", outdated=True))
            elif number not in today or str(size) == (most or str(listed)):
                continue
            elif most is None:
                yield broken(place, listed, f"{size} ({places[number]}); no majority tells which")
            else:
                printed.add([number], broken(places[number], size, f"{most}, as most of its network's"))


def _is_of_today(result: Evaluation, workspace: Workspace) -> bool:
    """Whether a result's training ran the code of today's spec, so that its network is the one that is built today."""
    spec = workspace.specs.get(result.cell)
    return spec is not None and spec.fingerprint("train").sha256 == result.run.provenance.code.sha256


def _by_layer(found: Networks) -> dict[str, dict[str, Any]]:
    """The networks by their names, layers and blocks of each by their places, so that one that differs is named."""
    return {
        one.name: {
            **{name: getattr(one, name) for name in ("parameters", "multiply_adds")},
            "layers": {str(place): layer.model_dump() for place, layer in enumerate(one.layers)},
            "blocks": {str(place): block.model_dump() for place, block in enumerate(one.blocks)},
        }
        for one in found.networks
    }
