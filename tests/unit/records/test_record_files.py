"""Records come back byte for byte; every other file is refused in one line that names the key."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import file_hash, write_json
from stages.records.data import TEST_ARRAYS, TRAIN_ARRAYS, DatasetDescription
from stages.records.digits import digits_array
from stages.records.evaluation import Evaluation, logits_path
from stages.records.record import Record
from stages.records.run import TrainingRun

Place = tuple[str | int, ...]
OTHER = "f" * 64


@pytest.fixture(params=["run", "evaluation", "description"])
def record(request: pytest.FixtureRequest) -> Record:
    return request.getfixturevalue(request.param)


def refusal(kind: type[Record], path: Path) -> str:
    with pytest.raises(CorruptFileError) as caught:
        kind.read(path, "stage x")
    message = caught.value.message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message


# Round trips


def test_what_was_written_is_read_and_written_again(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "a.json")
    found = type(record).read(tmp_path / "a.json", "stage x")
    found.write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert found.content() == record.content()
    assert found.md5() == file_hash(tmp_path / "a.json")


def test_records_have_their_schema_first(run: TrainingRun, evaluation: Evaluation) -> None:
    for record in (run, evaluation):
        assert next(iter(record.content().items())) == ("schema", 2)


def test_files_are_named_as_they_are(run: TrainingRun, evaluation: Evaluation) -> None:
    assert list(run.content()["sha256"]) == ["weights.safetensors", "history.json"]
    assert list(evaluation.content()["sha256"]) == ["logits.npy", "labels.npy"]


def test_a_missing_file_names_its_stage(record: Record, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="it is made by: stage x"):
        type(record).read(tmp_path / "a.json", "stage x")


# Other bytes


def _key_twice(text: str) -> str:
    return text.replace("{\n", '{\n "schema": 2,\n' if '"schema"' in text else '{\n "dataset": "x",\n', 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n ", "\n  ", 1),
        lambda text: json.dumps(json.loads(text), indent=1) + " \n",
        lambda text: text.replace(": ", ":", 1),
        lambda text: text.replace("0.5", "0.50", 1),
        lambda text: text.replace("0.5", "5e-1", 1),
        _key_twice,
    ],
)
def test_other_bytes_of_the_same_content_are_refused(
    record: Record, tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = tmp_path / "a.json"
    changed = change(record.text()).encode()
    if changed == record.text().encode():
        pytest.skip("this record has no such place")
    path.write_bytes(changed)
    key = "schema" if '"schema"' in record.text() else "dataset"
    twice = f"{path}: not JSON (key '{key}' stands twice); expected the JSON that stage x writes"
    other = f"{path}: other bytes than its own content gives; expected the bytes that stage x writes"
    assert refusal(type(record), path) == (twice if change is _key_twice else other)


# Wrong keys and types


def places(content: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a content, but below free settings."""
    if place:
        yield place
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        if place[-1:] != ("settings",):
            yield from places(value, (*place, key))


def changed(content: Any, place: Place, change: Callable[[Any, Any], None]) -> Any:
    whole = copy.deepcopy(content)
    parent = whole
    for key in place[:-1]:
        parent = parent[key]
    change(parent, place[-1])
    return whole


FREE_MAPPINGS = (
    "modules",
    "sources",
    "inputs",
    "files",
    "variables",
    "speed_variables",
    "packages",
    "report",
    "settings",
)


def of_settings(place: Place) -> bool:
    """Whether a setting of a family or an optimizer is there: which there are is not the record's matter."""
    known = ("family", "optimizer", "lr", "batch_size", "input_size", "augment")
    return "config" in place and "cell" in place[:-1] and place[-1] not in known


def test_every_missing_key_is_named(record: Record, tmp_path: Path) -> None:
    content, free = record.content(), (*FREE_MAPPINGS, "raw_md5", "raw_sha256", "sha256")
    optional = ("schema", "files", "experiment", "processor", "l1d_cache", "l2_cache", "build")  # they have defaults
    found = 0
    for place in places(content):
        if isinstance(place[-1], int) or set(place[:-1]) & set(free) or place[-1] in optional or of_settings(place):
            continue
        write_json(tmp_path / "a.json", changed(content, place, lambda parent, key: parent.pop(key)))
        message = refusal(type(record), tmp_path / "a.json")
        found += 1
        assert f"no {'.'.join(map(str, place))}; expected" in message, message
    assert found > 10


def test_every_unknown_key_is_named(record: Record, tmp_path: Path) -> None:
    content = record.content()
    sections = [place for place in places(content) if isinstance(look_up(content, place), dict)]
    for place in [(), *sections]:
        if set(place) & {*FREE_MAPPINGS, "config"} or place[-1:] in [("sha256",), ("raw_md5",), ("raw_sha256",)]:
            continue
        name = "no_such_key"
        whole = changed(content, (*place, name), lambda parent, key: parent.update({key: 1}))
        write_json(tmp_path / "a.json", whole)
        assert f"{'.'.join(map(str, (*place, name)))}: 1; expected" in refusal(type(record), tmp_path / "a.json")


def look_up(content: Any, place: Place) -> Any:
    for key in place:
        content = content[key]
    return content


def test_every_wrong_type_is_named(record: Record, tmp_path: Path) -> None:
    content = record.content()
    wrong: list[Any] = [True, {"a": [None]}]
    for place in places(content):
        for bad in wrong:
            if "settings" in place[:-1] or of_settings(place) or isinstance(look_up(content, place), type(bad)):
                continue
            parent = look_up(content, place[:-1])
            before, parent[place[-1]] = parent[place[-1]], bad
            write_json(tmp_path / "a.json", content)
            parent[place[-1]] = before
            assert f"{'.'.join(map(str, place))}" in refusal(type(record), tmp_path / "a.json")


@pytest.mark.parametrize("content", [[], "word", 3, None])
def test_a_file_that_is_no_record_is_refused(record: Record, tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "a.json", content)
    assert f"a {type(content).__name__}; expected the record that stage x writes" in refusal(
        type(record), tmp_path / "a.json"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.5", "NaN"),
        ("1.5", "Infinity"),
        ("1.5", "-Infinity"),
        ("1.5", "1e999"),
        ("1.5", "9" * 5000),
        ("1.5", "9" * 5000 + ".5"),
        ("1.5", "[" * 100_000),
        ("1.5", "[" * 100_000 + "]" * 100_000),
        ("1.5", '"\\ud800"'),
        ("1.5", '"\\uDFFF"'),
        ("1.5", '{"\\ud800": 1}'),
        ("1.5", "\ufffe"),
    ],
)
def test_numbers_texts_and_nestings_that_cannot_be_written_again_are_refused(
    record: Record, tmp_path: Path, old: str, new: str
) -> None:
    text = record.text()
    assert old in text
    (tmp_path / "a.json").write_bytes(text.replace(old, new, 1).encode())
    refusal(type(record), tmp_path / "a.json")


def test_bytes_that_are_no_utf_8_are_refused(record: Record, tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b'{"\xe9": 1}', record.text().encode("utf-16"), record.text().encode("utf-8-sig")):
        (tmp_path / "a.json").write_bytes(content)
        assert "not JSON" in refusal(type(record), tmp_path / "a.json")


# Bindings


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("cell",), "mnist/vgg16"),
        (("budget",), "paper"),
        (("config", "cell", "lr"), 0.25),
        (("config", "epochs"), 9),
        (("config", "threads"), 2),
        (("provenance", "code", "sha256"), OTHER),
        *((("data", "sha256", name), OTHER) for name in (*TRAIN_ARRAYS, *TEST_ARRAYS)),
        (("sha256", "weights.safetensors"), OTHER),
        (("data", "mean"), [0.25]),
        (("data", "made_from", "settings", "augmentation"), {"seed": 1}),
        (("numerics", "precision"), "bfloat16"),
        (("outcome",), "diverged"),
        (("sha256", "history.json"), OTHER),
        (("binding",), OTHER),
    ],
)
def test_a_bound_field_of_a_run_cannot_be_changed_alone(
    run: TrainingRun, tmp_path: Path, place: Place, value: Any
) -> None:
    whole = changed(run.content(), place, lambda parent, key: parent.__setitem__(key, value))
    write_json(tmp_path / "run.json", whole)
    assert "the file: binding is not that of cell, budget, seed, " in refusal(TrainingRun, tmp_path / "run.json")


def test_a_flipped_bit_anywhere_in_a_run_record_is_noticed(run: TrainingRun, tmp_path: Path) -> None:
    """Times, machine and speed are not bound: their checksum tells."""
    path, draw = tmp_path / "run.json", random.Random(0)  # noqa: S311 - no secret
    run.with_checksum().write(path)
    content = path.read_bytes()
    assert TrainingRun.read(path, "train").content() == run.with_checksum().content()
    for _ in range(300):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        assert refusal(TrainingRun, path)
    edited = {**json.loads(content), "peak_memory": 1}
    write_json(path, edited)
    assert "the file: checksum is not that of the other fields" in refusal(TrainingRun, path)
    write_json(path, {name: value for name, value in edited.items() if name != "checksum"})  # as a record from before
    assert TrainingRun.read(path, "train").checksum is None


def test_a_run_with_settings_that_are_none_today_is_read_as_it_was_written(
    run_fields: dict[str, Any], tmp_path: Path
) -> None:
    """A later version has other families, settings and values; what was committed is read all the same."""
    settings = TrainingRun.bound(**run_fields).content()["config"]
    cell = settings["cell"] | {"family": "gone", "optimizer": "lion", "label_smoothing": 0.1}
    del cell["stem"]
    written = TrainingRun.bound(**run_fields | {"config": settings | {"cell": cell, "warm_up": 5}})
    written.write(tmp_path / "run.json")
    read = TrainingRun.read(tmp_path / "run.json", "a test")
    assert read.content() == written.content()
    assert (read.md5(), read.config.cell.family) == (file_hash(tmp_path / "run.json"), "gone")


def test_the_seed_of_a_run_is_bound_in_both_places(run: TrainingRun, tmp_path: Path) -> None:
    content = run.content()
    for seeds, named in (((4, 3), "config of mnist, seed 3"), ((3, 4), "config of mnist, seed 4"), ((4, 4), "binding")):
        content["seed"], content["config"]["seed"] = seeds
        write_json(tmp_path / "run.json", content)
        assert f"the file: {named}" in refusal(TrainingRun, tmp_path / "run.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("provenance", "code", "sha256"), OTHER),
        (("sha256", "logits.npy"), OTHER),
        (("sha256", "labels.npy"), OTHER),
        (("testing", "images"), 2),
        (("numerics", "threads"), 2),
        (("predictions",), "012"),
        (("labels",), "022"),
        (("binding",), OTHER),
    ],
)
def test_a_bound_field_of_a_result_cannot_be_changed_alone(
    evaluation: Evaluation, tmp_path: Path, place: Place, value: Any
) -> None:
    whole = changed(evaluation.content(), place, lambda parent, key: parent.__setitem__(key, value))
    write_json(tmp_path / "a.json", whole)
    assert "the file: binding is not that of run, code, testing, " in refusal(Evaluation, tmp_path / "a.json")


def test_a_result_is_bound_to_its_run(
    evaluation: Evaluation, run_fields: dict[str, Any], shipped: Any, tmp_path: Path
) -> None:
    """Another run, bound in itself, does not fit; a run whose own binding is wrong is named as such."""
    other = TrainingRun.bound(**{**run_fields, "budget": "paper"})
    write_json(tmp_path / "a.json", {**evaluation.content(), "run": other.content()})
    assert "the file: binding is not that of run, " in refusal(Evaluation, tmp_path / "a.json")
    write_json(tmp_path / "a.json", {**evaluation.content(), "run": {**evaluation.run.content(), "budget": "paper"}})
    assert "run: binding is not that of cell, budget, " in refusal(Evaluation, tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cell": "cifar10/resnet18"}, "config of mnist, seed 3 in a run of cifar10/resnet18, 3"),
        ({"machines": []}, "at least 1 item"),
        ({"outcome": "dreamt"}, "'finished' or 'diverged'"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_parts_of_a_run_that_do_not_fit_make_no_record(
    run_fields: dict[str, Any], changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        TrainingRun.bound(**{**run_fields, **changes})


def test_an_epoch_s_machine_is_one_of_the_record_s(run: TrainingRun, tmp_path: Path) -> None:
    content = run.content()
    content["times"]["epochs"][1]["machine"] = 1
    write_json(tmp_path / "run.json", content)
    assert "times.epochs names a machine that machines does not have" in refusal(TrainingRun, tmp_path / "run.json")


def test_a_run_of_another_data_set_s_arrays_is_refused(run: TrainingRun, tmp_path: Path) -> None:
    content = run.content()
    content["data"]["dataset"] = "cifar10"
    write_json(tmp_path / "run.json", content)
    assert "data of cifar10 in a run of mnist/resnet18" in refusal(TrainingRun, tmp_path / "run.json")


# What is read from them


def test_inputs_are_found_by_what_they_hold(run: TrainingRun, evaluation: Evaluation) -> None:
    assert run.training_arrays[0] == "data/train"
    assert evaluation.run_folder[0] == "data/run"
    assert evaluation.test_arrays[0] == "data/test"
    assert evaluation.description[0] == "data/train/dataset.json"
    with pytest.raises(KeyError):
        run.provenance.input("weights.safetensors")


def test_a_result_knows_its_file_and_does_not_hold_it(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.write(tmp_path / "a.json")
    found = Evaluation.read(tmp_path / "a.json", "stage x")
    assert found.file is not None
    assert (found.file.path, found.file.md5) == ((tmp_path / "a.json").as_posix(), file_hash(tmp_path / "a.json"))
    assert "file" not in found.content()
    assert logits_path(Path("a/b-s0.json")) == Path("a/b-s0.npy")


def test_digits_are_one_class_an_image() -> None:
    assert digits_array("0129").tolist() == [0, 1, 2, 9]
    assert digits_array("0129").dtype == np.int64


# Canonical data


def test_the_canonical_bytes_are_accepted(description: DatasetDescription) -> None:
    description.check_canonical("dataset.json")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("found", [OTHER, None])
def test_other_raw_bytes_are_refused(description: DatasetDescription, name: str, found: str | None) -> None:
    content = description.content()
    content["made_from"]["raw_sha256"][name] = found
    if found is None:
        del content["made_from"]["raw_sha256"][name]
    with pytest.raises(
        CorruptFileError, match=rf"dataset.json: made from another {name} \(sha256 {found}\); expected"
    ) as e:
        DatasetDescription.model_validate(content).check_canonical("dataset.json")
    assert "\n" not in e.value.message


def test_a_data_set_that_nobody_knows_is_refused(description: DatasetDescription) -> None:
    with pytest.raises(CorruptFileError, match=r"dataset svhn; expected one of mnist, cifar10"):
        description.model_copy(update={"dataset": "svhn"}).check_canonical("dataset.json")


@pytest.mark.parametrize("name", [*TRAIN_ARRAYS, *TEST_ARRAYS])
def test_an_array_without_a_hash_is_refused(description: DatasetDescription, name: str) -> None:
    content = description.content()
    del content["sha256"][name]
    with pytest.raises(CorruptFileError, match=f"no sha256 of {name}; expected one for each array"):
        DatasetDescription.model_validate(content).check_canonical("dataset.json")
