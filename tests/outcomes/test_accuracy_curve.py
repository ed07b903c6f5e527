import numpy as np
import pytest
from matplotlib import pyplot

from pliant._checks import InputError
from pliant.outcomes import AccuracyCurve
from pliant.stats import Interval


def made_up():
    return AccuracyCurve(
        strengths=np.array([0.0, 1.0, 3.0]),
        estimate=np.array([0.9, 0.8, 0.4]),
        low=np.array([0.85, 0.7, 0.3]),
        high=np.array([0.95, 0.9, 0.5]),
        area=Interval(0.7, 0.6, 0.8, 0.95, 10),
        rms=np.array([0.0, 0.5, 1.5]),
        folds=np.array([0.0, 0.0, 0.1]),
        level=0.95,
        correct=np.ones((10, 3), dtype=bool),
        protocol={},
        provenance={},
    )


def test_to_pandas_has_one_row_a_strength():
    table = made_up().to_pandas()
    assert list(table.columns) == ["strength", "rms", "folds", "accuracy", "low", "high", "n"]
    assert table.iloc[2].tolist() == [3.0, 1.5, 0.1, 0.4, 0.3, 0.5, 10]


def test_plot_draws_the_numbers():
    axes = made_up().plot(label="net")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0.9], [1, 0.8], [3, 0.4]])
    corners = axes.collections[0].get_paths()[0].vertices
    for corner in ([1.0, 0.7], [3.0, 0.5]):
        assert (corners == corner).all(axis=1).any()
    assert line.get_label() == "net"
    assert made_up().plot(axes) is axes
    assert len(axes.lines) == 2
    pyplot.close("all")


def test_the_accuracy_at_a_strength():
    assert made_up()[1.0] == Interval(0.8, 0.7, 0.9, 0.95, 10)
    with pytest.raises(InputError) as error:
        made_up()[2]
    assert str(error.value) == "strength=2: measured at 0, 1, 3"
