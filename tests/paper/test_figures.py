import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib.colors import to_hex
from paper import fake_study

from pliant import records
from pliant._checks import InputError
from pliant.paper import figures, plans, published
from pliant.paper.figures import deformation
from pliant.paper.look import INITIAL, NETS
from pliant.plan import CREDIT

LAYERS = {"2a": 19, "2b": 19, "2c": 13, "2d": 13, "3b": 8, "4a": 13, "4b": 8, "4c": 8, "5a": 19, "5b": 13}
LINES = ("2a", "2c", "2d", "3b", "4b", "4c", "5a", "5b", "course")


def sensitivity(moment):
    net = len(moment.cell.net.downsampling) / 100
    level = 0.15 + moment.depth * (net + 0.1 * moment.progress - 0.1 * moment.cell.net.sigma)
    protocol = {"untouched": 0.0, "calibrated": 0.07, "as_is": 0.02}[moment.batch_norm]
    return level + protocol + 0.3 * (moment.metric == "euclidean") + 0.2 * (moment.padding == "border") + noise(moment)


def variation(moment):
    learned = 0.1 * moment.cell.task.reach + len(moment.cell.net.downsampling) / 50
    return 1.86 - moment.progress * learned * (1 - moment.depth) + noise(moment)


def noise(moment):
    return 0.01 * moment.noise * (1 + moment.depth) + 0.5 * (moment.cell.choice != "reference")


def unfitted(cell):
    return cell.task.kind == "random_labels" and cell.net.downsampling == "strided" and cell.seed == 2


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    of = fake_study.plan(3, LINES)
    chosen = {plans.REFERENCE, plans.MEMORISING, "no weight decay"}  # one choice that is nowhere drawn is enough
    kept = tuple(cell for cell in of.cells if cell.choice in chosen and not is_control(cell))
    folder = tmp_path_factory.mktemp("study")
    return fake_study.results(sensitivity, variation, replace(of, cells=kept), lambda cell: not unfitted(cell), folder)


@pytest.fixture(scope="module")
def figure_of(results):
    """Each figure of the results, drawn once."""
    return cache(lambda name: figures.FIGURES[name](results))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Few results, and a folder that holds nothing."""
    return fake_study.results(sensitivity, variation, fake_study.plan(1, ("3b",)), folder=tmp_path_factory.mktemp("no"))


@pytest.fixture(scope="module")
def illustrated(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("illustrated")
    np.savez(folder / "illustrations.npz", **illustrations(7))
    return replace(plain, folder=folder)


def is_control(cell):
    return cell.task.kind in ("random_images", "shuffled_pixels")


def line(ax, label):
    found = [drawn for drawn in ax.get_lines() if drawn.get_label() == label]
    assert len(found) == 1, f"{len(found)} lines are called {label!r}"
    return found[0]


def band(ax, label):
    """Lower and upper edge of a band at each of its places, from left to right."""
    found = [drawn for drawn in ax.collections if drawn.get_label() == f"_band {label}"]
    assert len(found) == 1, f"{len(found)} bands are called {label!r}"
    points = found[0].get_paths()[0].vertices
    places = np.unique(points[:, 0])
    return np.array([[f(points[points[:, 0] == x, 1]) for x in places] for f in (np.min, np.max)])


def words(figure):
    """All that is written on a figure, line breaks left out."""
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return re.sub(r"\s+", " ", " ".join(found))


def by_hand(results, quantity, **chosen):
    """Mean and standard deviation over seeds of each layer, from the table alone, without pandas' grouping."""
    table = results.table
    item = {"sensitivity": "sensitivity", "variation": "weight"}[quantity]
    if quantity == "sensitivity":
        chosen = {"metric": "cosine", "padding": "zeros", **chosen}
    kept = np.logical_and.reduce([table[column] == value for column, value in {"item": item, **chosen}.items()])
    values = {}
    for row in table[kept].to_dict("records"):
        values.setdefault(row["layer_index"], {})[row["seed"]] = row["value"]
    assert all(len(of_layer) == 3 for of_layer in values.values())
    layers = sorted(values)
    return np.array([[f(list(values[i].values())) for i in layers] for f in (np.mean, lambda v: np.std(v, ddof=1))])


CIFAR = {"family": "cifar", "choice": "reference"}
CONTROL = {"task": "labels", "choice": plans.MEMORISING}
PANELS = [
    ("2", 0, "sensitivity", {"family": "imagenet", "sigma": 0.0, "step": 0, "batch_norm": "calibrated"}),
    ("2", 1, "sensitivity", {"family": "imagenet", "sigma": 0.0, "step": 0, "batch_norm": "untouched"}),
    ("2", 3, "sensitivity", {**CIFAR, "task": "labels", "step": 0, "batch_norm": "calibrated"}),
    ("2", 4, "sensitivity", {**CIFAR, "task": "labels", "step": 0, "batch_norm": "untouched"}),
    ("2", 5, "sensitivity", {**CIFAR, "task": "labels", "step": 100, "batch_norm": "as_is"}),
    ("4", 1, "variation", {**CIFAR, "task": "labels", "step": 100}),
    ("4", 2, "variation", {**CIFAR, "task": "random_labels", "step": 100}),
    ("5", 2, "sensitivity", {**CIFAR, "task": "random_labels", "step": 100, "batch_norm": "as_is"}),
    ("5", 3, "sensitivity", {**CIFAR, **CONTROL, "step": 100, "batch_norm": "as_is"}),
]


@pytest.mark.parametrize(("name", "panel", "quantity", "chosen"), PANELS)
def test_lines_are_means_over_seeds_and_bands_two_standard_deviations(
    results, figure_of, name, panel, quantity, chosen
):
    ax = figure_of(name).axes[panel]
    nets = plans.IMAGENET if chosen["family"] == "imagenet" else tuple(NETS)
    drawn = {mean.get_label() for mean in ax.get_lines()} & set(NETS)
    assert drawn == set(nets)
    for net in nets:
        mean, deviation = by_hand(results, quantity, **chosen, downsampling=net)
        assert line(ax, net).get_xdata() == pytest.approx(np.arange(len(mean)))
        assert line(ax, net).get_ydata() == pytest.approx(mean)
        assert band(ax, net) == pytest.approx(np.array([mean - 2 * deviation, mean + 2 * deviation]))
        assert to_hex(line(ax, net).get_color()) == NETS[net].colour
    if quantity == "sensitivity":
        assert ax.get_ylim()[0] == 0


def test_figure_3_has_one_line_for_each_strength(results, figure_of):
    ax = figure_of("3b").axes[0]
    for reach in plans.STRENGTHS:
        mean, _ = by_hand(results, "variation", task="templates", reach=reach, step=100)
        assert line(ax, f"{reach:g}").get_ydata() == pytest.approx(mean)


@pytest.mark.parametrize(("panel", "batch_norm"), [(0, "calibrated"), (1, "untouched")])
def test_figure_5a_has_one_line_for_each_sigma_under_both_protocols(results, figure_of, panel, batch_norm):
    ax = figure_of("5").axes[panel]
    for sigma in (0.0, *plans.SIGMAS):
        chosen = {"family": "imagenet", "downsampling": plans.SMOOTHED, "sigma": sigma, "batch_norm": batch_norm}
        mean, _ = by_hand(results, "sensitivity", **chosen)
        assert line(ax, f"{sigma:g}").get_ydata() == pytest.approx(mean)


@pytest.mark.parametrize(("panel", "task"), [(1, "labels"), (2, "random_labels")])
def test_the_grey_line_of_figure_4_is_the_value_before_training(results, figure_of, panel, task):
    ax = figure_of("4").axes[panel]
    of_nets = [by_hand(results, "variation", task=task, step=0, downsampling=net, **CIFAR)[0] for net in NETS]
    assert line(ax, "initial").get_ydata() == pytest.approx(np.mean(of_nets, axis=0))
    assert to_hex(line(ax, "initial").get_color()) == INITIAL.colour
    lower, upper = band(ax, "initial")
    assert (lower < line(ax, "initial").get_ydata()).all()
    assert (upper > line(ax, "initial").get_ydata()).all()


def test_the_paper_has_no_curves_of_true_labels_that_are_learned_like_random_ones(figure_of):
    beside = figure_of("5b").axes[1]
    assert line(beside, "max_pool")
    assert not [drawn for drawn in beside.get_lines() if str(drawn.get_label()).startswith("_paper")]


@pytest.mark.parametrize("name", ["2a", "2c", "2d", "3b", "4b", "4c", "5a", "5b"])
def test_the_papers_own_curves_are_dashed_in_the_same_colour(figure_of, name):
    for ax in [ax for ax in figure_of(name).axes if "b′" not in ax.get_title("left")]:
        compared = 0
        for mean in [drawn for drawn in ax.get_lines() if not str(drawn.get_label()).startswith("_")]:
            curve = published.curve(name, str(mean.get_label()))
            if curve is not None:
                paper = line(ax, f"_paper {mean.get_label()}")
                assert (paper.get_ydata() == curve).all()
                assert paper.get_color() == mean.get_color()
                assert paper.get_linestyle() == "--"
                assert paper.get_linewidth() < mean.get_linewidth()
                compared += 1
        assert compared == {"2a": 2, "3b": 4}.get(name, 5)


def test_the_course_goes_through_every_step_and_shows_both_protocols_at_its_start(results, figure_of):
    figure = figure_of("course")
    drawn = [ax for ax in figure.axes if ax.get_lines()]
    assert len(drawn) == 12 + 8
    third = drawn[4]  # rows are layers within the block: the second row begins with layer 2 of the first block
    assert "layer 2" in [text.get_text() for text in third.texts]
    for net in NETS:
        chosen = {**CIFAR, "task": "labels", "downsampling": net}
        calibrated, untouched = (
            by_hand(results, "sensitivity", **chosen, step=0, batch_norm=name)[0][2]
            for name in ("calibrated", "untouched")
        )
        later = [
            by_hand(results, "sensitivity", **chosen, step=step, batch_norm="calibrated")[0][2] for step in (1, 10, 100)
        ]
        assert line(third, net).get_xdata() == pytest.approx(fake_study.STEPS)
        assert line(third, net).get_ydata() == pytest.approx([calibrated, *later])
        assert line(third, f"_untouched {net}").get_ydata() == pytest.approx([untouched])
        variations = [by_hand(results, "variation", **chosen, step=step)[0][0] for step in fake_study.STEPS]
        assert line(drawn[12], net).get_ydata() == pytest.approx(variations)
    assert third.get_xscale() == "symlog"


def test_nets_that_did_not_fit_their_labels_are_dotted_and_named(figure_of):
    for name in ("4c", "5b"):
        figure = figure_of(name)
        ax = figure.axes[0]
        assert {net: line(ax, net).get_linestyle() for net in NETS} == {
            net: ":" if net == "strided" else "-" for net in NETS
        }
        assert "dotted: 1 of 15 runs did not learn their task (strided convolution)" in words(figure)
    assert "did not learn" not in words(figure_of("4b"))


def test_the_caption_says_the_seeds_and_where_the_numbers_come_from(figure_of):
    said = words(figure_of("2"))
    assert "mean over n = 3 seeds; bands: ± 2 standard deviations over the seeds" in said
    assert "This run: photographs, digits, scale small, nets of 0.25 times the paper's width." in said
    assert "batch norm calibrated on the data" in said
    assert "batch norm untouched (mean 0, var. 1)" in said


def test_who_took_the_photographs_is_said_where_they_are_used(figure_of, illustrated):
    for name in ("2", "2a", "5", "5a"):
        assert CREDIT in words(figure_of(name))
    for name in ("1", "A1", "A2"):
        assert CREDIT in words(figures.FIGURES[name](illustrated))
    for name in ("2c", "4", "5b"):
        assert CREDIT not in words(figure_of(name))


def test_one_seed_has_no_band_and_the_caption_says_so():
    figure = figures.FIGURES["2d"](fake_study.results(sensitivity, variation, fake_study.plan(1, ("2c",))))
    assert not [drawn for drawn in figure.axes[0].collections if "_band" in str(drawn.get_label())]
    assert "Lines: one seed, so there are no bands." in words(figure)


@pytest.mark.parametrize(("name", "panel"), [("2", 2), ("4", 0)])
def test_what_needs_imagenet_is_said_not_to_be_run(figure_of, name, panel):
    figure = figure_of(name)
    letter = {"2": "2b", "4": "4a"}[name]
    assert f"not run: {letter} needs nets trained on ImageNet" in words(figure)
    assert not figure.axes[panel].get_lines()


def test_panels_without_nets_say_why():
    of = fake_study.plan(2, ("2c", "3b", "4c"))
    done = [c for c in of.cells if c.task.kind == "labels" and (c.net.downsampling, c.seed) != ("max_pool", 1)]
    failed = {cell.name: "no room for $x_{ on the disk" for cell in of.cells if cell.task.kind == "templates"}
    some = fake_study.results(sensitivity, variation, replace(of, cells=tuple(done)))
    missing = tuple(cell.name for cell in of.cells if cell not in done and cell.name not in failed)
    results = replace(some, plan=of, failed=failed, missing=missing)
    assert "not run: 8 of 8 runs failed (no room for $x_{ on the disk)" in words(figures.FIGURES["3b"](results))
    assert "not run: 10 of 10 runs are not done yet" in words(figures.FIGURES["4c"](results))
    assert "not run: the plan has no nets for it" in words(figures.FIGURES["5a"](results))
    partly = words(figures.FIGURES["2d"](results))
    assert "not run" not in partly
    assert "1 of 10 runs are not done yet" in partly
    assert "n = 1 to 2 seeds" in partly
    assert "Note: 1 of 10 runs are not done yet." in words(figures.FIGURES["course"](results))


def test_the_same_results_give_the_same_files(results, tmp_path):
    once = figures.draw(results, tmp_path / "once", ["4b", "3a"])
    again = figures.draw(results, tmp_path / "again", ["4b"])
    assert [path.name for path in once] == ["figure-4b.svg", "figure-4b.pdf", "figure-3a.svg", "figure-3a.pdf"]
    assert [path.read_bytes() for path in once[:2]] == [path.read_bytes() for path in again]
    svg = once[0].read_text()
    assert ">subsampling</text>" in svg
    assert "<dc:date>" not in svg
    assert b"/CreationDate" not in once[1].read_bytes()


def test_an_unknown_figure_is_refused_before_any_is_written(results, tmp_path):
    with pytest.raises(InputError, match=r"^unknown figure 'coarse'\. Did you mean 'course'\?$"):
        figures.draw(results, tmp_path / "none", ["4", "coarse"])
    assert not (tmp_path / "none").exists()


def test_every_figure_of_the_plan_can_be_drawn():
    assert set(plans.FIGURES) <= set(figures.FIGURES)
    assert set(figures.WHOLE) <= set(figures.FIGURES)


@pytest.mark.parametrize(("figure", "layers"), LAYERS.items())
def test_the_papers_curves_have_as_many_values_as_the_net_has_layers(figure, layers):
    for series in {"3b": "1234", "5a": ("0.1", "0.2", "0.3", "0.4", "0.5")}.get(figure, plans.IMAGENET):
        assert published.curve(figure, series).shape == (layers,)


def test_the_papers_curves_say_where_they_come_from():
    assert "arXiv:1804.04438v2" in published.source()
    assert "never as an exact oracle" in published.reading_error()
    assert published.curve("2c", "average_pool")[-1] == 0.036
    assert published.curve("2c", "blur_pool") is None
    assert published.curve("1", "max_pool") is None


def test_the_helpers_refuse_what_is_not_drawn(figure_of):
    ax = figure_of("2d").axes[0]
    with pytest.raises(AssertionError, match=r"^0 lines are called 'blur_pool'"):
        line(ax, "blur_pool")
    with pytest.raises(AssertionError, match=r"^0 bands are called 'blur_pool'"):
        band(ax, "blur_pool")


class TestIllustrations:
    def test_figures_without_their_images_say_so(self, plain):
        for name in ("1", "3", "3a", "A1", "A2", "A3"):
            assert "not run: the run's folder has no illustrations.npz" in words(figures.FIGURES[name](plain))

    def test_arrows_point_to_where_a_control_point_takes_its_value_from(self, illustrated):
        ax = figures.FIGURES["1"](illustrated).axes[0]
        (arrows,) = [drawn for drawn in ax.collections if drawn.get_label() == "displacement"]
        displacement = illustrations(7)["displacement"][0]
        corner = [i for i, place in enumerate(zip(arrows.X, arrows.Y, strict=True)) if place == (223, 0)]
        assert len(arrows.X) == 25
        assert (arrows.U[corner], arrows.V[corner]) == (displacement[0, 0, 223], displacement[1, 0, 223])

    def test_the_mesh_stands_where_values_are_taken_from(self, illustrated):
        mesh = figures.FIGURES["1"](illustrated).axes[1].collections[1]
        displacement = illustrations(7)["displacement"][0]
        top = mesh.get_segments()[0]
        assert top[:, 0] == pytest.approx(np.arange(224) + displacement[0, 0])
        assert top[:, 1] == pytest.approx(displacement[1, 0])

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    def test_photographs_stand_beside_their_deformations(self, plain, tmp_path, count):
        arrays = illustrations(count)
        np.savez(tmp_path / "illustrations.npz", **arrays)
        figure = figures.FIGURES["1"](replace(plain, folder=tmp_path))
        shown = [np.asarray(ax.get_images()[0].get_array()) for ax in figure.axes if ax.get_images()]
        pairs = [arrays[name][i] for i in range(min(count, 6)) for name in ("photographs", "photographs_deformed")]
        assert len(shown) == len(pairs)
        for image, expected in zip(shown, pairs, strict=True):
            assert (image == expected.transpose(1, 2, 0)).all()

    @pytest.mark.parametrize(("name", "title", "i"), [("A1", "pose", 2), ("A2", "translation 5 px", 1)])
    def test_rigid_motions_are_found_by_their_name(self, illustrated, name, title, i):
        figure = figures.FIGURES[name](illustrated)
        shown = [np.asarray(ax.get_images()[0].get_array()).transpose(2, 0, 1) for ax in figure.axes]
        arrays = illustrations(7)
        assert (shown[0] == arrays["rigid_true"][i]).all()
        assert (shown[1] == arrays["rigid_class"][i]).all()
        assert title in words(figure)
        assert {1: "less than 0.001 px (RMS)", 2: "differ by 0.4 px (RMS)"}[i] in words(figure)

    def test_tiles_of_the_mosaic_alternate_from_the_first_image_on(self):
        one, other = np.full((1, 16, 24), 1, np.uint8), np.full((1, 16, 24), 2, np.uint8)
        tiles = deformation.mosaic(one, other)[0, ::2, ::3]
        assert (tiles == 1 + np.indices((8, 8)).sum(axis=0) % 2).all()

    def test_templates_stand_beside_their_deformations_from_weak_to_strong(self, illustrated):
        axes = figures.FIGURES["3a"](illustrated).axes
        arrays = illustrations(7)
        shown = [np.asarray(ax.get_images()[0].get_array()) for ax in axes]
        assert (shown[5] == arrays["templates"][1, 0]).all()
        assert (shown[7] == arrays["template_examples"][1, 1, 0]).all()

    def test_a_page_of_photographs_stays_below_one_megabyte(self, illustrated, tmp_path):
        written = figures.draw(illustrated, tmp_path, ["1"])
        assert all(10_000 < path.stat().st_size < 1_000_000 for path in written)

    def test_a_damaged_file_is_named(self, plain, tmp_path):
        records.write_bytes(tmp_path / "illustrations.npz", b"PK\x03\x04 cut off")
        with pytest.raises(InputError, match=r"illustrations\.npz is damaged \(.*\): delete it and run again$"):
            figures.FIGURES["1"](replace(plain, folder=tmp_path))


@cache
def embedded():
    from sklearn.datasets import load_sample_images

    return load_sample_images().images


def illustrations(photographs):
    """A stand-in for what a run leaves behind: real photographs, displacements that differ at every pixel."""
    draw = np.random.default_rng(3)
    whole = embedded()
    crops = np.stack([whole[i % 2][20 * i : 20 * i + 224, 50 * i : 50 * i + 224] for i in range(photographs)])
    pictures = crops.transpose(0, 3, 1, 2)
    y, x = np.mgrid[0:224, 0:224] / 224
    field = np.stack([9 * np.sin(3 * x + y), 5 * np.cos(x + 4 * y)]).astype(np.float32)
    return {
        "photographs": pictures,
        "photographs_deformed": np.roll(pictures, 5, axis=3),
        "displacement": np.stack([field] * photographs),
        "control": np.array(5),
        "reach": np.array(10.0),
        "templates": draw.integers(0, 256, (10, 1, 8, 8), dtype=np.uint8),
        "template_examples": draw.integers(0, 256, (4, 10, 1, 8, 8), dtype=np.uint8),
        "rigid_names": np.array(["rotation 5 degrees", "translation 5 px", "pose"]),
        "rigid_true": np.stack([pictures[0], pictures[0, :, ::-1], pictures[0, :, :, ::-1]]),
        "rigid_class": np.stack([pictures[0], pictures[0, :, ::-1], pictures[0, :, :, ::-1]]) // 2,
        "rigid_rms": np.array([0.21, 3e-6, 0.4]),
    }
