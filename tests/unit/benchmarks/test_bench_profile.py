"""What is made of a profile: the outermost calls, and where a step's time goes."""

import pytest

from benchmarks.profile import BACKWARD, Event, outermost, rows

CONVOLUTION = f"{BACKWARD}_ConvolutionFunctionBackward"


def test_calls_inside_of_others_are_left_out() -> None:
    inner, outer = Event("aten::mm", 10, 20), Event("_ConvolutionFunction", 5, 30)
    same, after = Event("aten::conv2d", 5, 25), Event("aten::add", 30, 40)
    assert outermost([after, inner, same, outer]) == [outer, after]


def test_times_add_up_to_the_step() -> None:
    events = [
        Event("_ConvolutionFunction", 0, 2000),
        Event(CONVOLUTION, 3000, 7000),
        Event("aten::add", 7000, 7001),
        Event("_ConvolutionFunction", 10000, 12000),
        Event(CONVOLUTION, 14000, 20000),
    ]
    found = rows(events, 2)
    assert [row[:3] for row in found] == [
        ("convolutions, backward", 1.0, 5.0),
        ("between calls", 0.0, pytest.approx(2.9995)),
        ("convolutions, forward", 1.0, 2.0),
        ("all others", 0.5, 0.0005),
    ]
    assert [row.share for row in found] == pytest.approx([0.5, 0.29995, 0.2, 0.00005])
