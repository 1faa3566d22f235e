"""What is read of dvc.lock: each stage's entry, whatever its line ends; and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from stages.config.reading import read_yaml
from stages.core.errors import CorruptFileError
from stages.records.dvc_lock import Entry, Lock

HEAD = "schema: '2.0'\nstages:\n"
MD5 = "0000000000000000000000000000000a"
STAGE = "  one:\n    cmd: python\n    outs:\n    - path: out\n      hash: md5\n      md5: " + MD5 + "\n"


def test_every_entry_is_that_of_the_file(audited: Any) -> None:
    path = audited.folder / "dvc.lock"
    lock, whole = Lock(path), read_yaml(path)["stages"]
    assert len(whole) == 4 + 2 * 35
    assert lock.stages == list(whole)
    for name, stage in whole.items():
        entry = lock.entry(name)
        assert entry is not None
        assert (entry.cmd, entry.params) == (stage["cmd"], stage.get("params", {}))
        for kind, found in (("deps", entry.deps), ("outs", entry.outs)):
            assert found == {item["path"]: item["md5"] for item in stage.get(kind, [])}
        assert lock.outputs(name) == [item["path"] for item in stage.get("outs", [])]


def test_what_is_not_recorded_is_none(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    assert Lock(path, required=False).stages == []
    path.write_text("")
    assert Lock(path, required=False).entry("one") is None
    path.write_text(HEAD + STAGE)
    lock = Lock(path)
    assert lock.entry("one") == Entry("python", {}, {}, {"out": MD5})
    assert (lock.md5("one", "outs", "out"), lock.md5("one", "deps", "out"), lock.md5("two", "outs", "out")) == (
        MD5, None, None
    )  # fmt: skip


def test_an_entry_of_another_form_stands_in_no_other_stage_s_way(tmp_path: Path) -> None:
    """It is refused when it is asked for, and who asks for others does not meet it."""
    wrong = "  two:\n    cmd: python\n    deps:\n    - path: out\n      md5: 12345\n"
    right = f"  three:\n    cmd: python\n    deps:\n    - path: out\n      md5: {MD5}\n"
    (tmp_path / "dvc.lock").write_text(HEAD + STAGE + wrong + right)
    lock = Lock(tmp_path / "dvc.lock")
    assert (lock.reader("out"), lock.reader("other")) == ("three", None)
    with pytest.raises(CorruptFileError, match="stage two has another form"):
        lock.entry("two")


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    """A clone on Windows has others; a long command goes on over several lines."""
    text = (HEAD + STAGE).replace("cmd: python\n", "cmd: python -m\n      stages.one\n")
    (tmp_path / "unix").write_bytes(text.encode())
    (tmp_path / "windows").write_bytes(text.replace("\n", "\r\n").encode())
    unix, windows = (Lock(tmp_path / name) for name in ("unix", "windows"))
    assert windows.entry("one") == unix.entry("one") == Entry("python -m stages.one", {}, {}, {"out": MD5})


def test_parameters_are_those_of_each_file(tmp_path: Path) -> None:
    """As DVC writes what it took from a spec; its shortest numbers come back as numbers."""
    spec = "reports/quick/specs/mnist/vgg16.json"
    params = f"    params:\n      {spec}:\n        code.train: abc\n        settings:\n          eps: 1e-08\n"
    params += "          dropout: 0.0\n          hidden_layers: []\n      params.yaml:\n        seeds: [0]\n"
    (tmp_path / "dvc.lock").write_text(HEAD + STAGE + params)
    lock = Lock(tmp_path / "dvc.lock")
    settings = {"eps": 1e-8, "dropout": 0.0, "hidden_layers": []}
    assert lock.param("one", spec, "settings") == settings
    assert lock.param("one", spec, "code.train") == "abc"
    assert lock.param("one", "params.yaml", "seeds") == [0]
    assert lock.param("one", spec, "testing") is lock.param("two", spec, "settings") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + STAGE + STAGE, "one stands twice"),
        (
            HEAD + STAGE.replace("      md5: " + MD5 + "\n", ""),
            "stage one has another form (KeyError('md5'))",
        ),
        (HEAD + STAGE.replace(MD5, "0" * 32), "stage one has another form (ValueError('out: md5 0'))"),
        (HEAD + STAGE + f"    - path: out\n      md5: {MD5}\n", "stage one has another form (ValueError('out twice'))"),
        (HEAD + "  one:\n  - python\n", "stage one has another form"),
        ("<<<<<<< ours\n", "no stages of schema 2.0"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_lock_that_dvc_did_not_write_is_refused(tmp_path: Path, text: str, said: str, required: bool) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(text)
    with pytest.raises(CorruptFileError) as refused:
        Lock(path, required).entry("one")
    assert said in refused.value.message
