"""What the machine offers, by files of the kernel that are laid out here."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.launch import machine
from stages.launch.__main__ import end_on_signals, fitting
from stages.launch.cluster import _gpu, _WorkerWatch
from stages.launch.sizes import at_once
from tests.shipped import shipped_params
from tests.unit.report.conftest import trained


@pytest.fixture(autouse=True)
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel without limits, on a machine with eight cores and no GPU."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "gpus")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_cores_are_those_of_the_process_or_of_its_quota(kernel: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (kernel / name).parent.mkdir(exist_ok=True)
        (kernel / name).write_text(text + "\n")
    assert machine.cores() == expected


def test_the_container_s_memory_counts(kernel: Path) -> None:
    assert machine.memory_limit() is None
    (kernel / "memory.max").write_text("max\n")
    assert machine.memory_limit() is None
    (kernel / "memory.max").write_text("4294967296\n")
    assert machine.memory_limit() == 4 << 30


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/user.slice/job\n", {"user.slice/job/cpu.max": "200000 100000"}, 2),
        ("0::/user.slice/job\n", {"user.slice/cpu.max": "300000 100000", "user.slice/job/cpu.max": "max 100000"}, 3),
        ("4:cpu,cpuacct:/slurm/job\n0::/\n", {"cpu/slurm/job/cpu.cfs_quota_us": "400000"}, 4),
        ("0::/../../elsewhere\n", {}, 8),
        ("nonsense\n", {}, 8),
    ],
)
def test_the_quota_of_a_job_and_of_what_is_around_it_counts(
    kernel: Path, own: str, files: dict[str, str], expected: int
) -> None:
    """Without a namespace of its own, as in a batch system or a systemd service, a process sees the whole tree."""
    (kernel / "own").write_text(own)
    for name, text in files.items():
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).write_text(text + "\n")
        if name.endswith("quota_us"):
            (kernel / name).with_name("cpu.cfs_period_us").write_text("100000\n")
    assert machine.cores() == expected


def test_memory_is_what_the_container_has_left(kernel: Path) -> None:
    (kernel / "own").write_text("0::/job\n")
    (kernel / "job").mkdir()
    for name, text in {
        "memory.max": 3 << 20,
        "memory.current": 2 << 20,
        "memory.stat": f"anon 5\ninactive_file {1 << 19}",
    }.items():
        (kernel / "job" / name).write_text(f"{text}\n")
    assert machine.memory_free() == (1 << 20) + (1 << 19)


@pytest.mark.parametrize(
    ("needed", "memory", "expected"), [([3, 2, 1], 5, 2), ([3, 2, 1], 9, 3), ([9, 1], 5, 1), ([], 5, 1)]
)
def test_no_more_trainings_than_memory_holds(needed: list[int], memory: int, expected: int) -> None:
    assert at_once(needed, memory) == expected


def test_a_launch_says_that_memory_holds_fewer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = shipped_params()
    cells = [str(key) for key in params.cell_keys()][:4]
    run = trained(params, params.budget, params.find(cells[0])[0], 0)[0]
    assert fitting(params, cells, []) == 8  # no record says what they take
    monkeypatch.setattr("stages.launch.__main__.recorded_sizes", lambda specs, _: dict.fromkeys(specs, run.network))
    monkeypatch.setattr("stages.launch.__main__.memory_free", lambda: 1 << 40)
    assert (fitting(params, cells, [run]), capsys.readouterr().err) == (8, "")
    monkeypatch.setattr("stages.launch.__main__.memory_free", lambda: 1 << 30)
    assert fitting(params, cells, [run]) == 1
    assert capsys.readouterr().err.startswith("1 at a time, since 1.0 GiB of memory are free")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 fma\n\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 avx2\n\n", True),
        ("processor\t: 0\nFeatures\t: asimd bf16\n\n", True),
        ("processor\t: 0\n", None),
    ],
)
def test_bfloat16_is_read_from_the_processor_s_flags(kernel: Path, text: str, expected: bool | None) -> None:
    assert machine.multiplies_bfloat16() is None
    (kernel / "cpuinfo").write_text(text)
    assert machine.multiplies_bfloat16() is expected


def test_without_a_driver_there_is_no_gpu(kernel: Path) -> None:
    assert machine.gpus() == []


def test_a_gpu_that_another_process_has_ends_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["0"])
    monkeypatch.setattr(machine, "_GPU", "raise SystemExit(1)")
    found = machine.this_machine("auto")
    assert (found.machine.device, found.bfloat16) == ("cuda", None)


def test_embedded_workers_share_the_gpus() -> None:
    assert [_gpu(worker, ["2", "5"]) for worker in range(3)] == [
        {"CUDA_VISIBLE_DEVICES": "2"},
        {"CUDA_VISIBLE_DEVICES": "5"},
        {"CUDA_VISIBLE_DEVICES": "2"},
    ]
    assert _gpu(0, []) == _gpu("node7", ["0"]) == {}


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """`nohup make launch` outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_on_signals()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_missing_workers_are_said_once_and_never_in_mid_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = {"now": 0.0}
    monkeypatch.setattr("stages.launch.cluster.time.monotonic", lambda: clock["now"])
    watch = _WorkerWatch()

    def note(now: float, workers: int) -> list[str]:
        clock["now"] = now
        watch.note(workers)
        return capsys.readouterr().err.splitlines()

    assert note(1, 0) == []
    assert note(20, 0) == ["no worker takes part yet"]
    assert note(40, 0) == []
    assert note(41, 2) == []
    assert note(700, 2) == []  # the launch was busy with the tables meanwhile
    assert note(1400, 0) == []
    assert note(1401, 2) == []
    assert note(1402, 0) == []
    assert note(1420, 0) == ["no worker takes part any more"]
