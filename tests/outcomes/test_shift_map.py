import numpy as np
from matplotlib import pyplot

from pliant.outcomes import ShiftMap


def made_up(count=5, largest=3, scale=1.0):
    distance = scale * np.random.default_rng(0).random((count, largest, largest))
    return ShiftMap(
        layers=tuple(f"layer{i}" for i in range(count)),
        distance=distance,
        low=distance / 2,
        high=distance * 2,
        level=0.95,
        images=7,
        left_out={"head": "(n, 10) is no feature map (n, c, h, w)"},
        protocol={},
        provenance={},
    )


def test_to_pandas_has_one_row_a_layer_and_shift():
    found = made_up()
    table = found.to_pandas()
    assert list(table.columns) == ["layer_index", "layer", "dy", "dx", "distance", "low", "high", "n"]
    assert len(table) == 5 * 9
    row = table[(table["layer"] == "layer3") & (table["dy"] == 2) & (table["dx"] == 1)].iloc[0]
    assert row["layer_index"] == 3
    assert (row["distance"], row["low"], row["high"]) == tuple(
        numbers[3, 2, 1] for numbers in (found.distance, found.low, found.high)
    )
    assert row["n"] == 7


def test_plot_draws_the_numbers_in_one_scale_of_colours():
    found = made_up()
    figure = found.plot()
    *panels, bar = figure.axes
    assert [ax.get_title() for ax in panels] == list(found.layers)
    for ax, distance in zip(panels, found.distance, strict=True):
        (image,) = ax.images
        np.testing.assert_array_equal(image.get_array(), distance)
        assert image.get_clim() == (0.0, found.distance.max())
    assert bar.get_ylabel() == "cosine distance"
    assert panels[0].get_ylabel() == panels[4].get_ylabel() == "shift down (pixels)"
    assert [bool(ax.get_xlabel()) for ax in panels] == [False, True, True, True, True]
    pyplot.close("all")


def test_a_map_of_zeros_is_drawn():
    figure = made_up(1, scale=0.0).plot()
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)
    pyplot.close("all")
