"""A spec says what a cell is at a budget; equal files stay untouched, and a file that is not today's is refused."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from stages.config.params import Params
from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.core.files import write_json
from stages.records.fingerprint import SCHEME, Kind, fingerprint
from stages.records.spec import (
    PARAMETERS,
    Spec,
    check_spec,
    resolve_spec,
    spec_path,
    write_specs,
)
from tests.unit.records.test_fingerprint import LAYERS, SOURCES

EVERY = {
    **SOURCES,
    **{f"stages/engine/networks/{family}/__init__.py": "x = 1\n" for family in ("googlenet", "resnet", "vgg")},
}
CELL = "cifar10/vgg16"


def spec_of(params: Params, cell: str = CELL, sources: dict[str, str] = EVERY, budget: str = "quick") -> Spec:
    return resolve_spec(params, budget, cell, sources.get)


@pytest.fixture
def today(shipped: Params) -> Spec:
    return spec_of(shipped)


def test_a_spec_is_settings_testing_and_code(shipped: Params, today: Spec) -> None:
    train, evaluate = (fingerprint(kind, "vgg", EVERY.get) for kind in get_args(Kind))
    assert today.content() == {
        "schema": 1,
        "cell": CELL,
        "budget": "quick",
        "settings": shipped.settings(CELL, "quick").model_dump(mode="json"),
        "testing": {"images": 500},
        "code": {"scheme": SCHEME, "train": train.sha256, "evaluate": evaluate.sha256},
        "modules": {"train": train.modules, "evaluate": evaluate.modules},
    }
    assert (today.fingerprint("train"), today.fingerprint("evaluate")) == (train, evaluate)


def test_settings_come_back_with_the_cell_s_own_type(today: Spec, tmp_path: Path) -> None:
    today.write(tmp_path / "a.json")
    found = Spec.read(tmp_path / "a.json", "resolve")
    assert found == today
    assert type(found.settings.cell) is type(today.settings.cell)


def test_of_a_kind_are_the_values_that_dvc_takes(today: Spec) -> None:
    content = today.content()
    train, evaluate = (today.parameters(kind) for kind in get_args(Kind))
    assert train["settings.cell.lr"] == content["settings"]["cell"]["lr"]
    assert train["code.train"] == content["code"]["train"]
    assert evaluate == {"testing.images": 500, "code.evaluate": content["code"]["evaluate"]}
    assert len(train) == 1 + len(content["settings"]) - 1 + len(content["settings"]["cell"])


# Writing


def test_equal_files_stay_untouched_and_those_of_gone_cells_go(shipped: Params, tmp_path: Path) -> None:
    specs = [spec_of(shipped, cell) for cell in ("mnist/vgg16", "mnist/resnet18", CELL)]
    assert write_specs(specs, tmp_path) == 3
    (tmp_path / "README.md").write_text("not a spec")
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.json")}
    assert set(before) == {spec_path(tmp_path, spec.cell) for spec in specs}
    (tmp_path / "mnist/gone.json").write_text("{}")
    (tmp_path / "mnist/.vgg16.json.0123.json").write_text("torn")
    specs[1] = spec_of(shipped, "mnist/resnet18", {**EVERY, LAYERS: "x = 5\n"})
    assert write_specs(specs, tmp_path) == 1
    after = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.json")}
    assert set(after) == set(before)
    assert {path for path in after if after[path] != before[path]} == {tmp_path / "mnist/resnet18.json"}
    assert (tmp_path / "README.md").is_file()


def test_other_bytes_of_the_same_content_are_written_anew(today: Spec, tmp_path: Path) -> None:
    write_specs([today], tmp_path)
    path = spec_path(tmp_path, CELL)
    path.write_text(json.dumps(today.content()))
    assert write_specs([today], tmp_path) == 1
    assert check_spec(path, today, "train") == today


# Checking


def test_today_s_file_is_accepted(today: Spec, tmp_path: Path) -> None:
    today.write(tmp_path / "a.json")
    assert check_spec(tmp_path / "a.json", today, "train") == today


def refusal(path: Path, today: Spec) -> str:
    with pytest.raises(CorruptFileError) as caught:
        check_spec(path, today, "train")
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("settings", "cell", "lr"), 0.25, "another settings.cell.lr than"),
        (("settings", "cell", "hidden_layers"), [8], "another settings.cell.hidden_layers than"),
        (("settings", "images"), "all", "another settings.images than"),
        (("code", "train"), "0" * 64, "another code.train than"),
        (("budget",), "paper", "another budget than"),
        (("modules", "train"), {}, "another modules.train.stages/__init__.py, "),
    ],
)
def test_another_file_is_refused_and_what_differs_is_named(
    today: Spec, tmp_path: Path, place: tuple[str, ...], value: Any, named: str
) -> None:
    content: Any = today.content()
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    write_json(tmp_path / "a.json", content)
    message = refusal(tmp_path / "a.json", today)
    assert named in message
    assert message.endswith("expected today's (run dvc repro resolve@quick)")


def test_a_changed_source_is_named_by_its_path(today: Spec, shipped: Params, tmp_path: Path) -> None:
    spec_of(shipped, sources={**EVERY, LAYERS: "x = 5\n"}).write(tmp_path / "a.json")
    assert f"another code.train, modules.train.{LAYERS} than today's" in refusal(tmp_path / "a.json", today)
    spec_of(shipped, "mnist/vgg16", {**EVERY, LAYERS: "x = 5\n"}).write(tmp_path / "a.json")
    assert "another cell, code.train, " in refusal(tmp_path / "a.json", today)


def test_a_training_does_not_ask_how_it_is_tested(today: Spec, shipped: Params, tmp_path: Path) -> None:
    """Testing code may be edited while a campaign trains."""
    content = today.content()
    content["testing"]["images"] += 1
    content["code"]["evaluate"] = "0" * 64
    content["modules"]["evaluate"] = {}
    write_json(tmp_path / "a.json", content)
    assert check_spec(tmp_path / "a.json", today, "train").settings == today.settings
    with pytest.raises(CorruptFileError, match=r"another code.evaluate, modules.evaluate.* than today's"):
        check_spec(tmp_path / "a.json", today, "evaluate")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("settings", "cell", "lr"), 2.5, "settings.cell.lr: 2.5; expected less than or equal to 1"),
        (("settings", "cell", "lr"), "much", "settings.cell.lr: 'much'; expected a valid number"),
        (("settings", "cell", "stem"), "3x3", "settings.cell.stem: '3x3'; expected one of the keys "),
        (("settings", "cell", "hidden_layers"), [8, -1], "settings.cell.hidden_layers.1: -1; expected greater than"),
        (("settings", "cell", "optimizer"), "lion", "settings.cell.optimizer: 'lion'; expected one of rmsprop, sgd"),
        (("settings", "cell", "optimizer"), ["sgd"], "settings.cell.optimizer: ['sgd']; expected one of rmsprop, sgd"),
        (("settings", "cell"), "word", "settings.cell: 'word'; expected "),
        (("settings", "images"), "some", "settings.images: 'some'; expected "),
        (("settings", "no_such"), 1, "settings.no_such: 1; expected one of the keys dataset, "),
        (("no_such",), 1, "no_such: 1; expected no such key"),
        (("schema",), 3, "schema: 3; expected 1"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_by_its_key(
    today: Spec, tmp_path: Path, place: tuple[str, ...], value: Any, named: str
) -> None:
    content: Any = today.content()
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    write_json(tmp_path / "a.json", content)
    assert named in refusal(tmp_path / "a.json", today)
    if len(place) > 1 and place[-1] not in ("stem", "no_such"):
        del parent[place[-1]]
        write_json(tmp_path / "a.json", content)
        assert f"no {'.'.join(place)}; expected the record that" in refusal(tmp_path / "a.json", today)


def test_a_missing_file_names_its_stage(today: Spec, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="it is made by: dvc repro resolve@quick"):
        check_spec(tmp_path / "a.json", today, "train")


def test_an_unknown_cell_or_budget_is_refused(shipped: Params) -> None:
    with pytest.raises(ParamError, match="cell: 'mnist/vgg15' is not allowed"):
        spec_of(shipped, "mnist/vgg15")
    with pytest.raises(ParamError, match="budget: 'free' is not allowed"):
        spec_of(shipped, budget="free")


def test_the_keys_that_dvc_takes_are_in_every_spec(today: Spec) -> None:
    for keys in PARAMETERS.values():
        for key in keys:
            value: Any = today.content()
            for part in key.split("."):
                value = value[part]
            assert value
