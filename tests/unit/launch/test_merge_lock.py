"""Two branches that each added trainings: dvc.lock becomes the union of what their records back."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.core.errors import CorruptFileError
from stages.launch.merge_lock import _HEAD, entries, main, merge, why_unproved

ROOT = Path(__file__).resolve().parents[3]
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    return entries((ROOT / "dvc.lock").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and specs of this checkout in a folder of their own."""
    for name in ("reports/quick/cells/mnist", "reports/quick/specs/mnist"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(lock: dict[str, str]) -> list[tuple[str, str]]:
    """Trainings and their evaluations with a committed result of MNIST."""
    found = []
    for train in lock:
        cell, _, seed = train.removeprefix("train-mnist@quick-").rpartition("-")
        evaluate = train.replace("train-", "evaluate-")
        if (
            train.startswith("train-mnist@quick-")
            and (ROOT / f"reports/quick/cells/mnist/{cell}-s{seed}.json").is_file()
        ):
            found.append((train, evaluate))
    return found


def test_the_entries_of_dvc_lock_keep_their_bytes(lock: dict[str, str]) -> None:
    assert _HEAD + "".join(lock.values()) == (ROOT / "dvc.lock").read_text(encoding="utf-8")
    crlf = (_HEAD + "".join(lock.values())).replace("\n", "\r\n")
    assert entries(crlf) == lock
    for bad in ("", "schema: '1.0'\n", _HEAD + "  a:\n    cmd: x\n  a:\n    cmd: y\n", "<<<<<<< HEAD\n" + _HEAD):
        with pytest.raises(CorruptFileError):
            entries(bad)


def test_new_entries_of_both_sides_are_taken_where_a_record_backs_them(lock: dict[str, str], project: Path) -> None:
    first, second, *_ = pairs(lock)
    base = {name: entry for name, entry in lock.items() if name not in (*first, *second)}
    ours, theirs = base | {name: lock[name] for name in first}, base | {name: lock[name] for name in second}
    assert merge(base, ours, theirs) == (ours | theirs, {})
    forged = {name: entry.replace("md5: ", "md5: 0000", 1).replace("0000", "", 0) for name, entry in theirs.items()}
    merged, left_out = merge(base, ours, {**theirs, second[1]: forged[second[1]]})
    assert list(left_out) == [second[1]]
    assert second[0] in merged
    for file in project.glob("reports/quick/cells/mnist/*.json"):
        file.unlink()
    merged, left_out = merge(base, ours, theirs)
    assert merged.keys() == base.keys()
    assert set(left_out) == {*first, *second}


def test_what_both_sides_changed_is_the_one_that_its_record_backs_or_is_run_again(
    lock: dict[str, str], project: Path
) -> None:
    train, evaluate = pairs(lock)[0]
    tables = "aggregate-tables@quick"
    before = {name: f"  {name}:\n    cmd: an older one\n" for name in (train, evaluate, tables)}
    other = {name: lock[name].replace("cmd: python", "cmd: python3") for name in before}
    other = {name: re.sub("md5: [0-9a-f]", "md5: f", entry) for name, entry in other.items()}
    mine = {name: lock[name] for name in before}
    for ours, theirs in ((mine, other), (other, mine)):
        merged, left_out = merge(before, ours, theirs)
        assert merged == {name: lock[name] for name in (train, evaluate)}
        assert left_out == {tables: "both sides have changed it"}


def test_what_one_side_changed_or_removed_is_that_side_s(lock: dict[str, str]) -> None:
    a, b = "  a:\n    cmd: x\n", "  a:\n    cmd: y\n"
    assert merge({"a": a}, {"a": a}, {"a": b}) == ({"a": b}, {})
    assert merge({"a": a}, {"a": b}, {"a": a}) == ({"a": b}, {})
    assert merge({"a": a}, {"a": a}, {}) == ({}, {})
    assert merge({}, {"a": a}, {"a": a}) == ({"a": a}, {})


@pytest.mark.parametrize("entry", ["  train-x:\n    cmd: x\n", "  train-x: 3\n", "  train-x:\n  - {", "  train-x:\n"])
def test_an_entry_of_another_form_is_unproved(entry: str) -> None:
    assert why_unproved("train-x", entry, contested=False)


def test_the_command_resolves_a_conflict(lock: dict[str, str], project: Path) -> None:
    def git(*arguments: str, check: bool = True) -> int:
        return subprocess.run(["git", *IDENTITY, *arguments], check=check, capture_output=True).returncode

    def put(*names: str) -> None:
        (project / "dvc.lock").write_text(_HEAD + "".join(lock[name] for name in names), encoding="utf-8")
        git("add", "-A")
        git("commit", "-qm", "one")

    first, second, third = pairs(lock)[:3]
    git("init", "-q", "-b", "ours")
    put(*first)
    assert "is not in conflict" in CliRunner().invoke(main).stderr
    git("checkout", "-qb", "theirs")
    put(*first, *third)
    git("checkout", "-q", "ours")
    put(*first, *second)
    assert git("merge", "theirs", check=False) == 1
    done = CliRunner().invoke(main)
    assert done.exit_code == 0
    assert "6 entries, 2 of them theirs alone" in done.stderr
    assert entries((project / "dvc.lock").read_text(encoding="utf-8")) == {
        name: lock[name] for name in (*first, *second, *third)
    }
