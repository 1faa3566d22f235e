"""The shipped params.yaml as plain data that a test edits, and the message with which it is then refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stages.config import loading as module
from stages.config.loading import load_params
from stages.config.params import Params
from stages.core.errors import StageError
from tests.shipped import shipped, shipped_params

REPOSITORY = Path(__file__).resolve().parents[3]
Place = tuple[Any, ...]


class Edited:
    """params.yaml as plain data: `load` reads what the test has made of it."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __getitem__(self, dotted: str) -> Any:
        """A part of the file, by its dotted name."""
        return self.look_up(tuple(dotted.split(".")))

    def look_up(self, place: Place) -> Any:
        part = self.data
        for key in place:
            part = part[key]
        return part

    def put(self, place: Place, value: Any) -> Callable[[], None]:
        """Set a part of the file, new or not; returns what undoes it."""
        parent, key = self.look_up(place[:-1]), place[-1]
        absent = isinstance(parent, dict) and key not in parent
        before = None if absent else parent[key]
        parent[key] = value

        def undo() -> None:
            if absent:
                del parent[key]
            else:
                parent[key] = before

        return undo

    @contextmanager
    def alone(self, section: str, dataset: str, name: str) -> Iterator[None]:
        """The file with one cell and its bases: if it is refused, then before anything is asked of the others."""
        named = self.data["cells"][dataset] | self.data["alternatives"][dataset]
        wanted = [name]
        while base := named[wanted[-1]].get("base"):
            wanted.append(base)
        kept = {part: self.data[part] for part in ("cells", "alternatives")}
        assert name in kept[section][dataset]
        for part, cells in kept.items():
            few = {cell: settings for cell, settings in cells[dataset].items() if cell in wanted}
            self.data[part] = {other: few if other == dataset else {} for other in cells}
        yield
        self.data |= kept

    def load(self) -> Params:
        return load_params()

    def refuses(self, *parts: str) -> str:
        """The one line with which the file is refused, which has these parts."""
        with pytest.raises(StageError) as caught:
            self.load()
        message = caught.value.message
        assert "\n" not in message
        assert message.startswith("params.yaml: ")
        for part in parts:
            assert part in message, message
        return message


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Edited:
    data = shipped()
    monkeypatch.setattr(module, "read_yaml", lambda path: data)
    return Edited(data)


@pytest.fixture(scope="session")
def params() -> Params:
    return shipped_params()
