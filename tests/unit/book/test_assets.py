"""What is not ours is what its README says, and can stand inside an element."""

import hashlib
import re

from stages.book.assets import FACES, LIBRARIES, VENDOR, assets


def test_vendored_files_are_those_of_the_readme() -> None:
    written = dict(re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.M))
    assert set(written) == {*LIBRARIES, *FACES.values()}
    for name, sha256 in written.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha256


def test_every_vendored_file_has_its_licence() -> None:
    for _, licence in re.findall(r"^\| (\S+) \|.*`(\S+\.LICENSE)`", (VENDOR / "README.md").read_text(), re.M):
        assert "Copyright" in (VENDOR / licence).read_text() or "License" in (VENDOR / licence).read_text()


def test_scripts_and_style_do_not_end_their_element() -> None:
    found = assets()
    assert all("</script" not in script.lower() for script in (*found.libraries, found.script))
    assert "</style" not in found.style.lower()
    assert found.style.count("@font-face") == len(FACES)
