"""Cost beside accuracy: sizes and times as the run records have them, and a picture with every row."""

import csv
import io
from io import BytesIO
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.report.cost_figure import Point, cost_drawing, duration, errors_around, tick_labels, times_around
from stages.report.gallery import cost_points
from stages.report.tables import table_csv


def test_the_csv_has_size_and_speed_of_each_row(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[0, 3]))
    project.fill()
    runs = [project.read("cifar10/vgg16", seed)["run"] for seed in (0, 3)]
    line = next(csv.DictReader(io.StringIO(table_csv(project.evidence(), "IV"))))
    assert int(line["parameters"]) == runs[0]["network"]["parameters"]
    assert int(line["multiply_adds"]) == runs[0]["network"]["multiply_adds"]
    assert float(line["images_per_second"]) == pytest.approx(fmean(run["images_per_second"] for run in runs))
    seconds = [epoch["train_seconds"] for run in runs for epoch in run["times"]["epochs"]]
    assert float(line["seconds_per_epoch"]) == pytest.approx(median(seconds))


def test_every_row_that_has_run_is_a_point(filled: Any) -> None:
    filled.remove("mnist/vgg16")
    found = cost_points(filled.evidence())
    assert {name: len(points) for name, points in found.items()} == {"mnist": 16, "cifar10": 17}
    point = next(point for point in found["cifar10"] if point.label.endswith("  VGG16"))
    result = filled.read("cifar10/vgg16")
    assert point.accuracy == pytest.approx(result["correct"] / 10)
    assert point.seconds == pytest.approx(sum(epoch["train_seconds"] for epoch in result["run"]["times"]["epochs"]))


def test_nothing_is_cut_off_and_the_bytes_repeat() -> None:
    points = [
        Point(f"{n}.0  A row with a long label {n}", "vgg", "a processor", 10.0 * n, 3.0 * n) for n in range(1, 31)
    ]
    drawn = cost_drawing(points, "title\nsecond line", "quick: not the paper's conditions")
    assert set(drawn) == {".png", ".pdf", ".svg"}
    assert cost_drawing(points, "title\nsecond line", "quick: not the paper's conditions") == drawn
    shown = np.asarray(Image.open(BytesIO(drawn[".png"])).convert("L"))
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert (edge == 255).all()


def test_round_times_stand_around_all_points() -> None:
    assert times_around([45.0, 400.0]) == [30, 60, 120, 300, 600]
    assert [duration(seconds) for seconds in (30, 60, 1200, 7200)] == ["30 s", "1 min", "20 min", "2 h"]
    low, *_, high = times_around([0.4, 900_000.0])
    assert low < 0.4
    assert high > 900_000


def test_times_are_of_the_device_that_trained_the_lowest_seed(project: Any) -> None:
    """Times of two devices do not compare: no mean is taken over both, whichever has more seeds."""
    project.edit(lambda raw: raw.update(seeds=[0, 1, 2]))
    project.fill()
    project.change("cifar10/vgg16", 0, run__numerics__device="cuda: a GPU")
    project.change("cifar10/vgg11", 1, run__numerics__device="cuda: a GPU", run__images_per_second=9e6)
    evidence = project.evidence()
    first, second, *_ = csv.DictReader(io.StringIO(table_csv(evidence, "IV")))
    assert (first["device"], first["timed"], first["n"]) == ("a GPU", "1", "3")
    runs = [project.read("cifar10/vgg11", seed)["run"] for seed in (0, 2)]
    assert (second["device"], second["timed"], second["n"]) == (runs[0]["machines"][0]["processor"], "2", "3")
    assert float(second["images_per_second"]) == pytest.approx(fmean(run["images_per_second"] for run in runs))
    times = [sum(epoch["train_seconds"] for epoch in run["times"]["epochs"]) for run in runs]
    assert float(second["training_seconds"]) == pytest.approx(fmean(times))
    (point,) = (one for one in cost_points(evidence)["cifar10"] if one.label.endswith("  VGG11 (time of 2 of 3 seeds)"))
    assert (point.device, point.seconds) == (second["device"], pytest.approx(fmean(times)))


def test_round_errors_stand_around_all_points() -> None:
    assert errors_around([0.56, 4.1]) == [0.5, 1, 2, 5]
    assert errors_around([27.1, 27.9]) == [20, 30]
    assert errors_around([0.01, 100.0])[::15] == [0.01, 90]


def test_labels_of_times_keep_their_distance() -> None:
    assert tick_labels([60, 120, 300, 600, 1200, 1800, 3600]) == [
        "1 min",
        "2 min",
        "5 min",
        "10 min",
        "20 min",
        "",
        "1 h",
    ]


def test_every_number_stands_once_in_the_picture_whatever_the_points() -> None:
    """Rows with the same time and accuracy, with none right, and with all right."""
    points = [Point("twice", "vgg", "a GPU", 60.0, 99.0)] * 2
    points += [Point("none", "resnet", "a GPU", 3600.0, 0.0), Point("all", "lenet", "a GPU", 1.0, 100.0)]
    drawn = cost_drawing(points, "title", "")[".svg"].decode()
    assert all(f"<!-- {text} -->" in drawn for text in ("1", "2, 3", "4"))
    assert "<!-- 2 -->" not in drawn
