"""What git has of a commit."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.audit import history
from stages.audit.history import History
from stages.records.provenance import git_state, hash_dependency

ROOT = Path(__file__).parents[3]


def test_a_commit_has_the_hashes_that_a_clean_tree_has() -> None:
    history, known = (
        History(),
        subprocess.run(
            ["git", "status", "--porcelain", "stages/engine"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert history.content("HEAD", "LICENSE") == (ROOT / "LICENSE").read_bytes()
        for path in ("stages/engine", "stages/__init__.py") if not known else ():
            assert history.commit_with(path, hash_dependency(Path(path)).md5) is not None
        assert history.files("0" * 40) is None


def test_files_that_were_not_committed_come_back_from_the_recorded_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited file, a new one and a removed one, as a record keeps them; what does not apply is not known."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").mkdir()
    for name in ("edited.py", "removed.py", "kept.py"):
        (tmp_path / "stages" / name).write_text(f"# {name}\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "three"]):
        subprocess.run(["git", *command], check=True)
    (tmp_path / "stages/edited.py").write_text("# \N{GREEK SMALL LETTER BETA}\n")
    (tmp_path / "stages/new.py").write_text("# new\n")
    (tmp_path / "stages/removed.py").unlink()
    state = git_state()
    assert state.difference is not None
    assert sorted(state.changed) == ["stages/edited.py", "stages/new.py", "stages/removed.py"]
    subprocess.run(["git", "stash", "-qu"], check=True)  # the working tree is clean again
    assert History().patched(state.commit, tuple(state.changed), state.difference) == {
        "stages/edited.py": "# \N{GREEK SMALL LETTER BETA}\n".encode(),
        "stages/new.py": b"# new\n",
    }
    other = state.difference.replace("# edited.py", "# other.py")
    assert History().patched(state.commit, tuple(state.changed), other) is None
    assert History().patched(state.commit, tuple(state.changed), state.difference[:40]) is None


def test_every_version_comes_once_the_newest_first_and_few_bytes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three contents and one that is too large, two fit together; a content that is broken is not here."""
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "core.looseCompression=0"]
    subprocess.run(["git", "init", "-q"], check=True)
    commits: list[str] = []
    for text in ("first", "again", "third", "too large", "again"):
        (tmp_path / "file").write_text(text)
        for command in (["add", "-A"], ["commit", "-qm", text]):
            subprocess.run(["git", *identity, *command], check=True)
        commits.insert(0, History().head())
    read: list[int] = []
    contents = history._contents

    def counted(ids: Sequence[str]) -> list[bytes] | None:
        read.append(len(ids))
        return contents(ids)

    monkeypatch.setattr(history, "_AT_ONCE", 10)
    monkeypatch.setattr(history, "_contents", counted)

    def versions() -> list[tuple[str, bytes | None]]:
        return [(commit, content) for commit, _, content in History().every_version(".", ["file"], 5)]

    assert versions() == [(commits[0], b"again"), (commits[2], b"third"), (commits[4], b"first")]
    assert read == [2, 1]
    blob = subprocess.run(["git", "rev-parse", "HEAD:file"], check=True, capture_output=True, text=True).stdout.strip()
    broken = tmp_path / ".git/objects" / blob[:2] / blob[2:]
    whole = broken.read_bytes()
    broken.chmod(0o644)
    broken.write_bytes(whole.replace(b"again", b"agai?"))
    assert versions() == [(commits[0], None), (commits[2], b"third"), (commits[4], b"first")]


def test_a_commit_holds_the_recorded_sources_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").mkdir()
    for name in ("one.py", "two.py"):
        (tmp_path / "stages" / name).write_text(f"# {name}\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "two"]):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    found, history = hash_dependency(tmp_path / "stages"), History()
    files = {f"stages/{name}": hash_dependency(tmp_path / "stages" / name).md5 for name in ("one.py", "two.py")}
    assert history.differing(head, files) == []
    assert history.differing(head, files | {"stages/two.py": "0" * 32, "stages/three.py": "0" * 32}) == [
        "stages/two.py",
        "stages/three.py",
    ]
    assert history.differing("f" * 40, files) is None
    assert history.commit_with("stages", found.md5) == head
    assert history.commit_with("stages", "0" * 32) is None
    assert history.commit_with("stages/two.py", files["stages/two.py"]) == head
    assert (history.last_commit("stages/one.py") or ("",))[0] == head
    assert history.last_commit("stages/none.py") is None
    blob = subprocess.run(
        ["git", "rev-parse", "HEAD:stages/two.py"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / ".git/objects" / blob[:2] / blob[2:]).unlink()  # as in a partial clone whose remote is away
    assert History().differing(head, files) is None
