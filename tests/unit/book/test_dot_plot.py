"""The drawing beside a number stands where the number says."""

from stages.book.dot_plot import DotPlot, Scale


def test_a_scale_begins_at_the_ten_below_the_least() -> None:
    assert Scale.of([83.0, 99.1]) == Scale(80)
    assert Scale.of([99.1, 99.9]) == Scale(90)
    assert Scale.of([100.0]) == Scale(90)
    assert Scale.of([8.6, 82.3]) == Scale(0)


def test_places_are_shares_of_the_scale() -> None:
    assert Scale(80).dot_plot(90.0, 99.0, (85.0, 95.0)) == DotPlot(50.0, 95.0, 25.0, 75.0)
    assert Scale(0).dot_plot(12.5, None, None) == DotPlot(12.5, None, None, None)
