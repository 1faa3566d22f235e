"""A fingerprint counts the code that a cell's numbers come from, and nothing of how that code is written."""

import ast
import hashlib
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from stages.core.errors import StageError
from stages.engine.networks import families
from stages.records import fingerprint as module
from stages.records.fingerprint import CUT, FAMILY, ROOTS, Fingerprint, Kind, closure, fingerprint, loaded_outside
from tests.unit.records.conftest import REPOSITORY

VGG, RESNET = (FAMILY.format(family=family) for family in ("vgg", "resnet"))
ENGINE, LAYERS, FILES = "stages/engine/training.py", "stages/engine/layers.py", "stages/core/files.py"
SOURCES = {
    "stages/__init__.py": "",
    "stages/config/__init__.py": "",
    "stages/config/settings.py": "from stages.engine.networks import families\n",
    "stages/core/__init__.py": "",
    FILES: "import stages.core.behind\n",
    "stages/core/behind.py": "x = 1\n",
    "stages/engine/__init__.py": "",
    ENGINE: '''"""Trains."""

import json

from stages.core.files import digest
from stages.engine import layers


def train(x: int = 1) -> int:
    """Train."""
    # a comment
    return layers.double(x)
''',
    LAYERS: "def double(x):\n    return 2 * x\n",
    "stages/engine/networks/__init__.py": "def families(): ...\n",
    VGG: "def build():\n    from stages.engine.networks.vgg.network import build\n    return build\n",
    "stages/engine/networks/vgg/network.py": "build = 1\n",
    RESNET: "x = 1\n",
    "stages/evaluate/__init__.py": "",
    "stages/evaluate/prediction.py": "import stages.engine.layers\n",
    "stages/evaluate/metrics.py": "x = 1\n",
    "stages/evaluate/mistakes.py": "x = 1\n",
}


def of(sources: dict[str, str], kind: Kind = "train", family: str = "vgg") -> Fingerprint:
    return fingerprint(kind, family, sources.get)


def edited(path: str, old: str, new: str) -> dict[str, str]:
    assert SOURCES[path].count(old) == 1
    return {**SOURCES, path: SOURCES[path].replace(old, new)}


# What is in it


def test_the_closure_is_what_the_roots_and_the_family_import() -> None:
    packages = {f"stages/{name}__init__.py" for name in ("", "config/", "core/", "engine/", "engine/networks/")}
    assert closure("train", "vgg", SOURCES.get) == {
        *packages,
        *ROOTS["train"],
        LAYERS,
        VGG,
        "stages/engine/networks/vgg/network.py",
    }
    assert closure("evaluate", "resnet", SOURCES.get) == {
        *(packages - {"stages/core/__init__.py"}),
        "stages/evaluate/__init__.py",
        *ROOTS["evaluate"],
        LAYERS,
        RESNET,
    }


def test_modules_are_hashed_each(monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(SOURCES)
    assert list(found.modules) == sorted(closure("train", "vgg", SOURCES.get))
    other = of(edited(LAYERS, "2 * x", "3 * x"))
    assert {path for path in found.modules if found.modules[path] != other.modules[path]} == {LAYERS}
    assert found.sha256 != other.sha256


@pytest.mark.parametrize(
    "line",
    [
        "import stages.engine.extra",
        "import stages.engine.extra as e, os",
        "from stages.engine import extra",
        "from stages.engine.extra import x as y",
        "from stages.engine.extra import *",
        "def f():\n    import stages.engine.extra",
        "if False:\n    from stages.engine import extra",
        "class A:\n    async def f(self):\n        try: pass\n        except E: import stages.engine.extra",
    ],
)
def test_an_import_is_followed_wherever_it_stands(line: str) -> None:
    sources = {**SOURCES, "stages/engine/extra.py": "x = 1\n", LAYERS: f"{SOURCES[LAYERS]}{line}\n"}
    assert closure("train", "vgg", sources.get) - closure("train", "vgg", SOURCES.get) == {"stages/engine/extra.py"}


@pytest.mark.parametrize("line", ["import stagesofx", "import torch.nn", "x = 'import stages.engine.extra'"])
def test_what_is_no_import_of_ours_is_not(line: str) -> None:
    sources = {**SOURCES, "stages/engine/extra.py": "x = 1\n", LAYERS: f"{SOURCES[LAYERS]}{line}\n"}
    assert closure("train", "vgg", sources.get) == closure("train", "vgg", SOURCES.get)


def test_modules_that_import_each_other_are_followed_once() -> None:
    sources = edited(LAYERS, "def double", "import stages.engine.training\ndef double")
    assert closure("train", "vgg", sources.get) == closure("train", "vgg", SOURCES.get)


def test_a_module_that_cannot_change_a_number_is_cut_off_with_what_is_behind_it() -> None:
    assert FILES in CUT
    for path in (FILES, "stages/core/behind.py"):
        assert path not in closure("train", "vgg", SOURCES.get)
        assert of({**SOURCES, path: "import os\n"}) == of(SOURCES)


def test_another_family_is_not_in_it() -> None:
    for text in ("x = 2\n", "not python"):
        assert of({**SOURCES, RESNET: text}) == of(SOURCES)
    assert of({**SOURCES, RESNET: "x = 2\n"}, family="resnet") != of(SOURCES, family="resnet")
    assert of(edited(VGG, "return build", "return 1")) != of(SOURCES)


def test_testing_s_code_is_not_in_a_training_s() -> None:
    sources = {**SOURCES, "stages/evaluate/metrics.py": "x = 2\n"}
    assert of(sources) == of(SOURCES)
    assert of(sources, "evaluate") != of(SOURCES, "evaluate")


def test_a_module_s_place_counts() -> None:
    moved = {path: text.replace("layers", "sheets") for path, text in SOURCES.items()}
    moved["stages/engine/sheets.py"] = moved.pop(LAYERS)
    assert of(moved).sha256 != of(SOURCES).sha256


def test_the_scheme_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(SOURCES)
    monkeypatch.setattr(module, "SCHEME", 2)
    assert (of(SOURCES).scheme, of(SOURCES).modules) == (2, before.modules)
    assert of(SOURCES).sha256 != before.sha256


# What changes it


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another"),
        ("    # a comment\n", ""),
        ("# a comment", "# type: ignore"),
        ('"""Trains."""\n', ""),
        ('"""Trains."""', "'Trains ' 'better.'"),
        ('    """Train."""\n', ""),
        ("import json\n", "import json  # noqa\n\n\n"),
        ("return layers.double(x)", "return layers.double(\n        x,\n    )"),
        ("return layers.double(x)", "return (layers . double(x));"),
        ("x: int = 1", "x: int = 0x1"),
        ("import layers", "import (\n    layers,\n)"),
    ],
)
def test_how_it_is_written_does_not_change_it(old: str, new: str) -> None:
    assert of(edited(ENGINE, old, new)) == of(SOURCES)


def test_line_ends_and_a_byte_order_mark_do_not_change_it() -> None:
    for change in (
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
    ):
        assert of({path: change(text) for path, text in SOURCES.items()}) == of(SOURCES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x: int = 1", "x: int = 2"),
        ("x: int = 1", "x: int = True"),
        ("x: int = 1", "x: int = 1.0"),
        ("x: int = 1", "x: float = 1"),
        ("x: int = 1", "x=1"),
        ("x: int = 1", "y: int = 1"),
        ("x: int = 1", "x: int = 1, /"),
        ("x: int = 1", "*, x: int = 1"),
        ("-> int", "-> float"),
        ("def train", "@cache\ndef train"),
        ("def train", "async def train"),
        ("import json", "import json as j"),
        ("import json\n", ""),
        ("return layers", "layers"),
        ("return layers.double(x)", "return layers.double(*x)"),
        ("return layers.double(x)", "return layers.double(x=x)"),
        ("return layers.double(x)", "return None"),
        ("return layers.double(x)", "return"),
        ("return layers.double(x)", 'return "layers.double(x)"'),
        ('    """Train."""\n', '    f"""Train."""\n'),
        ('    """Train."""\n', '    """Train."""\n    """Twice."""\n'),
        ('    """Train."""\n', '    b"Train."\n'),
        ("    # a comment\n", "    pass\n"),
        ("    # a comment\n", "    if x:\n        'no docstring'\n"),
    ],
)
def test_what_it_says_changes_it(old: str, new: str) -> None:
    assert of(edited(ENGINE, old, new)).modules[ENGINE] != of(SOURCES).modules[ENGINE]


TEXTS = [
    "x = {}",
    "x = []",
    "x = ()",
    "x = None",
    "x = ...",
    "x = 1",
    "x = -1",
    "x = 1.0",
    "x = 1j",
    "x = '1'",
    "x = b'1'",
    "x = f'1'",
    "x = f'{1}'",
    "x = f'{1!r}'",
    "x = f'{1:1}'",
    "x = f'{1:{1}}'",
    "x: int",
    "(x): int",
    "x += 1",
    "(x := 1)",
    "x = [*y]",
    "x = [y]",
    "x = {**y}",
    "x = {None: y}",
    "x = y[1:]",
    "x = y[:1]",
    "x = y[::1]",
    "def f(a, /, b, *, c): pass",
    "def f(a, b, /, *, c): pass",
    "def f(a, b, *, c=1): pass",
    "def f(a, b=1, *, c): pass",
    "def f(*, a, b=1): pass",
    "def f(*, a=1, b): pass",
    "match x:\n    case None: pass",
    "match x:\n    case _: pass",
    "match x:\n    case y: pass",
    "match x:\n    case [*_]: pass",
    "match x:\n    case [*y]: pass",
    "match x:\n    case {**y}: pass",
    "try: pass\nexcept A: pass",
    "try: pass\nexcept* A: pass",
    "try: pass\nexcept A as e: pass",
    "try: pass\nfinally: pass",
    "raise",
    "raise x",
    "raise x from None",
    "import a.b",
    "from a import b",
    "from .a import b",
    "from . import b",
    "for x in y: pass",
    "for x in y: pass\nelse: pass",
    "[x for x in y if x]",
    "{x for x in y if x}",
    "(x for x in y if x)",
    "{x: x for x in y if x}",
    "async def f():\n    [x async for x in y if x]",
    "async def f():\n    [x for x in y if x]",
]


def test_no_two_of_many_forms_are_the_same() -> None:
    found = {module.serialised(ast.parse(text)): text for text in TEXTS}
    assert len(found) == len(TEXTS)


# Stability

EVERYTHING = '''
"""Doc."""
from __future__ import annotations
import a.b as c
from a import (b, c as d)
X: int = -1
@deco(1, *args, **kw)
class A(B, metaclass=M):
    """Doc."""
    x: "list[int]" = field(default=1e-08)
    def f(self, a, /, b: int = 2, *c, d: str | None = None, **e) -> "X":
        """Doc."""
        return f"{a!r:>{b}} {c=} {d:.3f} {{}} é\u2028" f"x{e}" "y" if (n := len(c)) > 1 else None
    async def g(self):
        async with a as b, c:
            yield await d
        async for x in y:
            pass
def h(x, *, k=None, j):
    global q
    match x:
        case {"a": 1, **rest} if rest: return 1
        case [1, *_] | (2, 3): return ...
        case P(x=0, y=None) as z: return z
        case _: raise ValueError from None
    try:
        del x[1:2, ::3]
    except* (A, B) as e:
        assert e, "m"
    finally:
        x = {**a, 1: b"\\xff", "u": u"é", 2: 1j, 3: 0x10, 4: True, 5: {*a}, 6: [*b], 7: (), 8: {}}
    return lambda *a, b=1: [i for i in a if i for j in i]
def s(): return f"", f"{a:}", f"{a}" f"", f"{a:{b}{c}}", f"{x!s}", rf"\\d{a}", f"""a
{b}
""", f"{'a' 'b'}", "\U0001fae8"
'''
SMALL = '@a\ndef f(x: int = 1, *, y=None) -> str:\n    """Doc."""\n    return f"{x:>{y}}é"\n'


def test_the_text_of_a_tree_is_the_same_with_every_python() -> None:
    """Literal, so that another version of Python that reads it otherwise is noticed (3.11, 3.12, 3.13 read it so)."""
    assert module.serialised(ast.parse(SMALL)) == (
        "Module(body=[FunctionDef(args=arguments(args=[arg(annotation=Name(id=str:'int'),arg=str:'x')],"
        "defaults=[Constant(value=int:1)],kw_defaults=[Constant()],kwonlyargs=[arg(arg=str:'y')]),"
        "body=[Return(value=JoinedStr(values=[FormattedValue(conversion=int:-1,format_spec=JoinedStr(values="
        "[Constant(value=str:'>'),FormattedValue(conversion=int:-1,value=Name(id=str:'y'))]),value=Name(id=str:'x')),"
        "Constant(value=str:'\\xe9')]))],decorator_list=[Name(id=str:'a')],name=str:'f',returns=Name(id=str:'str'))])"
    )
    everything = module.serialised(ast.parse(EVERYTHING))
    assert everything.isascii()
    assert hashlib.sha256(everything.encode()).hexdigest() == (
        "fba299c1bd1b3640197482d07e8b8f2928c47d9457807a1c33a09f276ced6402"
    )


def test_a_fingerprint_is_that_of_yesterday() -> None:
    assert of(SOURCES).sha256 == "78082e0ff7f85a14844ab347392ed6f7119e095a1ee8029ce4cc889337d42e12"


# Refusals


def refusal(sources: dict[str, str]) -> str:
    with pytest.raises(StageError) as caught:
        of(sources)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("path", [ENGINE, "stages/config/settings.py", VGG])
def test_a_missing_root_is_refused(path: str) -> None:
    sources = {name: text for name, text in SOURCES.items() if name != path}
    assert refusal(sources).startswith(f"{path} is missing; ")


def test_a_family_may_be_a_module_of_its_own() -> None:
    """It is in the code of its own cells, and in that of no other family."""
    module = "stages/engine/networks/lenet.py"
    sources = {**SOURCES, module: "x = 1\n"}
    assert module in of(sources, family="lenet").modules
    assert of(sources) == of(SOURCES)
    assert of(sources, family="lenet") != of({**sources, module: "x = 2\n"}, family="lenet")


def test_a_family_that_is_none_is_refused() -> None:
    with pytest.raises(StageError, match=r"stages/engine/networks/alexnet/__init__.py is missing"):
        of(SOURCES, family="alexnet")


@pytest.mark.parametrize("line", ["from . import layers", "from .layers import x", "from .. import engine"])
def test_a_relative_import_is_refused(line: str) -> None:
    sources = edited(LAYERS, "def double", f"{line}\ndef double")
    assert refusal(sources) == f"{LAYERS}, line 1: a relative import; allowed: absolute imports"


def test_what_is_not_python_is_refused() -> None:
    assert refusal(edited(LAYERS, "2 * x", "2 *")).startswith(f"{LAYERS}, line 2: not Python (")
    assert "not Python" in refusal(edited(LAYERS, "2 * x", "2 * x\0"))
    assert "not Python" in refusal(edited(LAYERS, "2 * x", "(" * 10_000 + ")" * 10_000))


def test_what_is_not_utf_8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in SOURCES.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    assert fingerprint("train", "vgg") == of(SOURCES)
    Path(LAYERS).write_bytes(b"# \xe9\n")
    with pytest.raises(StageError, match=rf"^{LAYERS}: not UTF-8"):
        fingerprint("train", "vgg")


# The real sources


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_family_s_code_has_its_own_network_and_nothing_that_only_reads(kind: Kind, family: str) -> None:
    paths = closure(kind, family)
    networks = {path for path in paths if path.startswith("stages/engine/networks/")}
    folder = "stages/engine/networks"
    package = {f"{folder}/{family}/{name}.py" for name in ("__init__", "network")}
    own = package if Path(folder, family).is_dir() else {f"{folder}/{family}.py"}
    assert networks == {f"{folder}/__init__.py", *own}
    outside = {path for path in paths if not re.match(r"stages/(config|core|engine|evaluate)/", path)}
    assert outside == {"stages/__init__.py"}
    assert {"stages/config/settings.py", "stages/engine/prediction.py"} <= paths
    assert {"stages/config/params.py", "stages/config/checks.py"}.isdisjoint(paths)
    if kind == "train":
        assert not [path for path in paths if path.startswith("stages/evaluate/")]


@pytest.mark.usefixtures("_here")
def test_what_is_cut_off_is_there() -> None:
    for path in CUT:
        assert Path(path).is_file()


@pytest.mark.usefixtures("_here")
def test_modules_that_are_loaded_and_not_in_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import stages.config.params  # something of ours that is in no training's code

    assert stages.config.params
    assert "stages/config/params.py" in loaded_outside("train", "vgg", [])
    assert "stages/config/params.py" not in loaded_outside("train", "vgg", ["stages/config/"])
    loaded = [name for name in sys.modules if name.partition(".")[0] == "stages"]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    assert loaded_outside("train", "vgg", []) == []
