"""Claims C1 to C7 on planted results: each holds, does not hold and cannot be told, for the reason that was planted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import pytest

from stages.config.cells import CellKey
from stages.config.params import Params
from stages.core.errors import StageError
from stages.records.evaluation import Evaluation
from stages.report.claims import judge_claims, under_paper_conditions
from stages.report.claims_page import claims_page
from stages.report.evidence import CellResults, Evidence
from stages.stats.claims import FAILS, HOLDS, OPEN, ClaimResult, Part
from tests.unit.report.conftest import agreed, printed_numbers, synthetic

SEEDS = [0, 1, 2, 3, 4]
IMAGES = 1000
JITTER = (0, 1, 2, -1, -2)  # hits, by the seed
NOISE = (0, 150, -150, 80, -80)
CAT, DEER = 3, 4


class Came(NamedTuple):
    """What one training comes to."""

    order: tuple[int, int] | None  # by which errors are scattered
    hits: int
    other: tuple[int, ...]  # by a label, what an error takes it for
    blind: int | None
    lost: bool
    gap: float
    rate: float
    machine: str

    def result(self, params: Params, key: CellKey, seed: int) -> Evaluation:
        content = synthetic(params, params.budget, key, seed, predicted_as=SEEDS[0]).content()
        labels = np.arange(IMAGES) % 10
        order = np.random.default_rng(self.order).permutation(IMAGES) if self.order else np.arange(IMAGES)
        named = np.where(order >= self.hits, np.array(self.other)[labels], labels)
        if self.blind is not None:
            named = np.where(labels == self.blind, (labels + 1 + np.arange(IMAGES) // 10 % 9) % 10, named)
        right = int((named == labels).sum())
        confusion = np.bincount(labels * 10 + named, minlength=100).reshape(10, 10)
        content.update(
            correct=right,
            accuracy=right / IMAGES,
            at_chance=self.lost,
            labels="".join(map(str, labels)),
            predictions="".join(map(str, named)),
            confusion=confusion.tolist(),
        )
        content["history"][-1].update(train_sample_accuracy=0.5 + self.gap / 100, validation_accuracy=0.5)
        content["run"].update(images_per_second=self.rate)
        content["run"]["machines"][0]["processor"] = self.machine
        return agreed(content)


# Most cells of most worlds are alike: results by params, cell and seed, and by what the training came to.
MADE: dict[tuple[int, str, int], dict[Came, Evaluation]] = {}


@dataclass
class World:
    """What every training comes to. By default every claim holds."""

    hits: dict[str, int] = field(default_factory=dict)  # of 1000 test images
    noisy: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)  # at chance
    gap: dict[str, tuple[float, ...]] = field(default_factory=dict)  # points, by the seed
    rate: dict[str, float] = field(default_factory=lambda: {"vgg": 60.0, "resnet": 280.0, "googlenet": 200.0})
    machine: dict[str, str] = field(default_factory=dict)
    misnamed: Callable[[str, int], int] = lambda dataset, label: (
        label + 1 if dataset == "mnist" or label == CAT else CAT
    )
    jitter: tuple[int, ...] = JITTER
    blind: dict[str, int] = field(default_factory=dict)  # a class that is never recognised
    scattered: bool = True  # the errors, over the classes by chance; else as evenly as can be

    def result(self, params: Params, key: CellKey, seed: int, place: int) -> Evaluation:
        cell, family = str(key), params.find(str(key))[1].family
        turn = list(permutations(SEEDS))[7 * place % 120][seed]  # no two cells differ by the same in every seed
        hits = self.hits.get(cell, 995 if key.dataset == "mnist" else 930)
        hits += NOISE[turn] if cell in self.noisy else self.jitter[turn % len(self.jitter)]
        other = tuple(self.misnamed(key.dataset, label) % 10 for label in range(10))
        rate = self.rate[family] * (1 + 0.01 * seed + 0.001 * (37 * place % 50))
        trained = Came(
            order=(place, seed) if self.scattered else None,
            hits=hits,
            other=other,
            blind=self.blind.get(cell),
            lost=cell in self.lost,
            gap=self.gap.get(cell, (0.1, 0.2, 0.3, 0.2, 0.4))[seed],
            rate=rate,
            machine=self.machine.get(family, "a processor"),
        )
        known = MADE.setdefault((id(params), cell, seed), {})  # `LOADED` keeps params: no other has its id
        if trained not in known:
            known[trained] = trained.result(params, key, seed)
        return known[trained]

    def evidence(self, project: Any, seeds: list[int] = SEEDS) -> Evidence:
        project.edit(lambda raw: raw.update(seeds=seeds))
        params = project.params
        unplanned = {str(key): CellResults(key, (), ()) for key in params.cell_keys(planned=False)}
        cells = unplanned | {
            str(key): CellResults(key, tuple(seeds), tuple(self.result(params, key, seed, place) for seed in seeds))
            for place, key in enumerate(params.cell_keys())
        }
        return Evidence(params, params.budget, cells, printed_numbers())


def judged(world: World, project: Any, seeds: list[int] = SEEDS) -> dict[str, ClaimResult]:
    return {result.name: result for result in judge_claims(world.evidence(project, seeds))}


def decisive(result: ClaimResult | Part) -> str:
    part = result.decisive if isinstance(result, ClaimResult) else result
    assert part.decisive
    return part.decisive.name


def momentum_wins() -> World:
    return World(hits={"cifar10/vgg16-momentum": 950})


def test_a_world_in_which_every_claim_holds(project: Any) -> None:
    results = judged(momentum_wins(), project)
    assert list(results) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert {result.outcome for result in results.values()} == {HOLDS}
    counted = {name: [len(part.checks) for part in result.parts] for name, result in results.items()}
    assert counted == {"C1": [6], "C2": [17, 9], "C3": [6], "C4": [28], "C5": [15], "C6": [21, 3, 30], "C7": [4]}
    assert decisive(results["C2"].parts[1]) == (
        "VGG16 with SGD and momentum (Table IV) less VGG16 with ADAM (Table IV)"
    )
    for result in results.values():
        assert all(part.p is not None and part.p <= 0.05 for part in result.parts)


def all_sgd(hits: int) -> dict[str, int]:
    names = [f"{net}-{way}" for net in ("vgg16", "resnet18") for way in ("sgd", "momentum")]
    cifar10, mnist = ({f"cifar10/{name}": hits for name in names}, {f"mnist/{name}": hits + 60 for name in names})
    return cifar10 | mnist | {"mnist/googlenet-augmented": hits + 60}


@pytest.mark.parametrize(
    ("world", "name", "part", "outcome", "named"),
    [
        (World(hits={"cifar10/vgg11": 850}), "C1", 0, FAILS, "VGG11 (Table IV) less VGG"),
        (World(noisy={"cifar10/vgg11"}), "C1", 0, OPEN, "VGG11 (Table IV) less VGG"),
        (World(lost={"mnist/vgg11", "mnist/vgg19"}), "C1", 0, OPEN, "VGG11 (Table I) less VGG19 (Table I)"),
        (World(lost={"mnist/vgg11"}, hits={"mnist/vgg11": 100}), "C1", 0, FAILS, "VGG11 (Table I) less VGG"),
        (World(hits={"cifar10/resnet18-adam": 800}), "C2", 0, FAILS, "ResNet18 with Adam (Table V) less"),
        (World(noisy={"mnist/googlenet-augmented"}), "C2", 0, OPEN, "GoogLeNet with adam and data augmentation"),
        (World(hits=all_sgd(900)), "C2", 1, FAILS, "less"),
        (World(), "C2", 1, OPEN, "less"),
        (World(hits={"cifar10/googlenet-sgd-augmented": 990}), "C3", 0, FAILS, "GoogLeNet with SGD and data aug"),
        (World(hits={"cifar10/googlenet-sgd-augmented": 800}), "C3", 0, HOLDS, ""),
        (World(noisy={"mnist/vgg16-augmented"}), "C3", 0, OPEN, "VGG16 with Data Augmentation (Table I)"),
        (World(gap={"cifar10/vgg19": (15, 16, 17, 15, 16)}), "C4", 0, FAILS, "VGG19 (Table IV)"),
        (World(gap={"cifar10/vgg19": (1, 9, 3, 7, 5)}), "C4", 0, OPEN, "VGG19 (Table IV)"),
        (World(gap={"cifar10/vgg19": (15, 16, 17, 15, 16)}, lost={"cifar10/vgg19"}), "C4", 0, OPEN, "VGG19"),
        (World(hits={"mnist/resnet18-sgd": 500}), "C5", 0, FAILS, "ResNet18 with SGD (Table II) less"),
        (World(noisy={"cifar10/vgg16"}, hits={"mnist/vgg16": 940}), "C5", 0, OPEN, "VGG16 (Table I) less"),
        (World(hits={"cifar10/vgg16-adam": 500}), "C6", 0, FAILS, "VGG16 with ADAM"),
        (World(blind={"cifar10/vgg16-adam": 2}), "C6", 0, OPEN, "bird: VGG16 with ADAM"),  # 0 in every seed: no spread
        (World(blind={"cifar10/vgg16-adam": CAT}), "C6", 0, HOLDS, ""),
        (World(noisy={"cifar10/vgg16-adam"}, hits={"cifar10/vgg16-adam": 690}), "C6", 0, OPEN, "VGG16 with ADAM"),
        (World(blind={"cifar10/resnet18-adam": 0}), "C6", 1, FAILS, "ResNet18 with Adam"),
        (
            World(misnamed=lambda dataset, label: label + 1, jitter=(0, 10, 20, -10, 10), scattered=False),
            "C6",
            1,
            OPEN,
            "(Table",
        ),
        (World(hits={"mnist/resnet18-adam": 950}), "C6", 2, FAILS, "ResNet18 with Adam (Table II)"),
        (World(rate={"vgg": 60, "resnet": 280, "googlenet": 600}), "C7", 0, FAILS, "googlenet"),
        (World(rate={"vgg": 60, "resnet": 280, "googlenet": 280}), "C7", 0, OPEN, "googlenet"),
    ],
)
def test_each_outcome(project: Any, world: World, name: str, part: int, outcome: str, named: str) -> None:
    found = judged(world, project)[name].parts[part]
    assert found.outcome == outcome
    assert named in decisive(found)


def test_times_on_different_machines_are_not_compared(project: Any) -> None:
    results = judged(World(machine={"resnet": "another processor"}), project)
    assert results["C7"].outcome == OPEN
    checks = results["C7"].parts[0].checks
    assert len(checks) == 4
    assert {(check.found.p_for, check.found.note) for check in checks} == {(None, "no machine has trained both")}
    elsewhere = judged(World(machine={"vgg": "another processor"}), project)["C7"]
    assert elsewhere.outcome == OPEN
    assert [check.found.note for check in elsewhere.parts[0].checks].count("no machine has trained both") == 2
    assert decisive(elsewhere) == "resnet against vgg, MNIST"


def test_times_count_each_cell_once_by_the_median_of_its_seeds(project: Any) -> None:
    """Five seeds of a cell are no five cells: one that was slow for once changes nothing, nor do more seeds."""
    five, one = (judged(World(), project, seeds)["C7"].parts[0] for seeds in (SEEDS, [2]))
    assert [check.name for check in five.checks] == [check.name for check in one.checks]
    assert [check.found for check in five.checks] == [check.found for check in one.checks]
    assert "resnet (6 cells) against vgg (8), CIFAR10" in five.checks[2].name
    assert "One value a cell, the median of its seeds" in five.rule


@pytest.mark.parametrize("seeds", [[0], SEEDS])
def test_a_class_without_images_that_is_never_named_has_no_f1(project: Any, seeds: list[int]) -> None:
    evidence = World().evidence(project, seeds)
    cell = evidence.cells["cifar10/vgg16-adam"]
    confusion = [
        [0 if 0 in (row, column) else images for column, images in enumerate(line)]
        for row, line in enumerate(cell.results[0].confusion)
    ]
    without = tuple(result.model_copy(update={"confusion": confusion}) for result in cell.results)
    evidence.cells["cifar10/vgg16-adam"] = replace(cell, results=without)
    claim = {result.name: result for result in judge_claims(evidence)}["C6"]
    (check,) = (check for check in claim.parts[0].checks if check.found.value is None)
    assert check.name.startswith("airplane: VGG16 with ADAM")
    assert (check.found.p_for, check.found.p_against) == (None, None)
    assert check.found.note == "no image is of this class or named so"
    assert claim.outcome == OPEN
    assert "one has no p (no image is of this class or named so)" in claims_page(evidence, [claim])


def test_seeds_that_come_out_alike_are_no_certainty(project: Any) -> None:
    world = momentum_wins()
    world.jitter = (0,)
    checks = judged(world, project)["C1"].parts[0].checks
    assert {(check.found.p_for, check.found.p_against, check.found.interval) for check in checks} == {(None,) * 3}
    assert {check.found.note for check in checks} == {"no spread over the seeds to test against"}


def test_networks_that_learned_nothing_have_no_classes_to_judge(project: Any) -> None:
    claim = judged(World(lost={"cifar10/vgg16-adam"}), project)["C6"]
    unlearned = [check for part in claim.parts for check in part.checks if "nothing was learned" in check.found.note]
    assert len(unlearned) == 8
    assert all("VGG16 with ADAM" in check.name and check.found.p_for is None for check in unlearned)
    assert claim.outcome == OPEN


def test_one_seed_tells_of_cases_and_times_alone(project: Any) -> None:
    results = judged(momentum_wins(), project, [0])
    told = {name: result.outcome for name, result in results.items()}
    assert told == dict.fromkeys(results, OPEN) | {"C7": HOLDS}
    ps = [check.paired_p for check in results["C1"].parts[0].checks]
    assert all(p is not None and 0 <= p <= 1 for p in ps)
    assert all(check.paired_p is None for check in results["C5"].parts[0].checks)
    assert all(check.found.p_for is None for name in ("C4", "C6") for check in results[name].parts[0].checks)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_few_seeds_refute_what_has_no_exception(project: Any, seeds: list[int]) -> None:
    world = World(gap={"cifar10/vgg19": (30, 31, 0, 0, 0)}, blind={"cifar10/vgg16-adam": 2})
    results = judged(world, project, seeds)
    assert (results["C4"].outcome, results["C6"].outcome) == (FAILS, FAILS)
    assert decisive(results["C4"]) == "VGG19 (Table IV)"
    assert decisive(results["C6"]).startswith("bird: VGG16 with ADAM")


def test_over_seeds_the_sign_flip_stands_beside(project: Any) -> None:
    checks = judged(World(hits={"cifar10/vgg11": 850}), project)["C1"].parts[0].checks
    assert {check.smallest for check in checks} == {0.0625}
    assert min(check.paired_p for check in checks if check.paired_p is not None) == 0.0625


def test_two_cells_tested_on_different_images_are_refused(project: Any) -> None:
    evidence = World().evidence(project, [0])
    cell = evidence.cells["mnist/vgg11"]
    turned = cell.results[0].model_copy(update={"labels": cell.results[0].labels[::-1]})
    evidence.cells["mnist/vgg11"] = replace(cell, results=(turned,))
    with pytest.raises(StageError, match=r"mnist/vgg11 and mnist/.* were not tested on the same images"):
        judge_claims(evidence)


def test_a_row_of_the_users_is_compared_too(project: Any) -> None:
    def add(raw: dict[str, Any]) -> None:
        raw["cells"]["mnist"]["vgg11-adam"] = {"network": "vgg11", "optimizer": "adam"}
        raw["tables"]["I"]["rows"].append({"row": "VGG11 | <mine>", "cell": "vgg11-adam"})

    project.edit(add)
    evidence = World().evidence(project)
    names = [check.name for check in judge_claims(evidence)[0].parts[0].checks]
    assert "VGG11 | <mine> (Table I) less VGG16 with ADAM (Table I)" in names
    assert "VGG11 \\| &lt;mine&gt; (Table I) less" in claims_page(evidence, judge_claims(evidence))


# The page


def page(world: World, project: Any, seeds: list[int] = SEEDS) -> str:
    evidence = world.evidence(project, seeds)
    return claims_page(evidence, judge_claims(evidence))


def test_the_page_of_a_small_budget_says_whom_it_judges(project: Any) -> None:
    text = page(momentum_wins(), project)
    assert "**This judges the numbers of budget `quick`, not the paper.**" in text
    assert "Tests are over the n = 5 seeds, those of times over the cells." in text
    assert text.count("| **holds** |") == 7
    assert text.count("**Outcome: holds.**") == 7
    assert "p &lt; 0.001" in text
    assert "-0." not in text
    assert "| sign-flip p (smallest possible) |" in text
    assert text.count("(0.062)") > 40


def test_the_page_under_the_papers_conditions_does_not(project: Any) -> None:
    evidence = World().evidence(project)
    assert not under_paper_conditions(evidence)
    as_paper = replace(evidence, budget_name="paper")
    assert under_paper_conditions(as_paper)
    assert "not the paper" not in claims_page(as_paper, judge_claims(as_paper))


def test_the_page_says_why(project: Any) -> None:
    text = page(World(hits={"cifar10/vgg11": 850}, machine={"resnet": "another"}), project)
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| C")}
    assert "| **does not hold** | p &lt; 0.001 (smallest, by Holm, of 6) |" in lines["C1"]
    assert "| Refuted by VGG11 (Table IV) less" in lines["C1"]
    assert "within ±2.5 is asked" in lines["C1"]
    assert "| **cannot be told** | – | 0 of 4 comparisons came out as asked, but one has no p " in lines["C7"]
    assert (
        "(no machine has trained both). In the way of an answer stands resnet against vgg, MNIST, –, where above 1 is"
        in lines["C7"]
    )
    single = page(momentum_wins(), project, [0])
    assert "**n = 1: how far seeds spread is unknown below 3 of them**" in single
    assert "6 of 6 comparisons came out as asked, but with 1 seed that may be luck, either way" in single
    assert "| McNemar's p (Holm's) |" in single
