import pytest
import torch
from PIL import Image
from torch import nn

from pliant import zoo
from pliant._checks import InputError

NET = """
from torch import nn

class Net(nn.Sequential):
    pass

def small(channels=3):
    return Net(nn.Conv2d(channels, 4, 3), nn.ReLU())

def grey():
    return small(1)

def broken():
    raise KeyError("no such thing")

def nothing():
    return None

size = 3
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def refused(*arguments, **options):
    with pytest.raises(InputError) as caught:
        zoo.load(*map(str, arguments), **options)
    return str(caught.value)


def test_the_function_makes_the_model(net):
    loaded = zoo.load(f"{net}:small")
    assert isinstance(loaded.model[0], nn.Conv2d)
    assert not loaded.model.training
    assert (loaded.size, loaded.channels) == ((224, 224), 3)
    assert loaded.normalise.mean == (0.485, 0.456, 0.406)
    assert loaded.resize_and_crop(Image.new("RGB", (300, 500))).shape == (3, 224, 224)
    assert loaded.source == (
        f"The model that small() in {net} makes (seed 0). Preprocessing: as given; size and mean and std assumed "
        "as for ImageNet."
    )
    assert loaded.preprocessing.startswith("shorter side resized to 256 (bilinear), centre crop of 224 x 224; ")


def test_preprocessing_as_given(net):
    loaded = zoo.load(f"{net}:grey", size=32, mean=(0.5,), std=(0.25,))
    image = loaded.resize_and_crop(Image.new("RGB", (50, 40), (255, 255, 255)))
    assert image.shape == (1, 32, 32)
    assert (loaded.normalise(image[None]) == 2).all()
    assert loaded.model(image[None]).shape == (1, 4, 30, 30)
    assert loaded.source.endswith("Preprocessing: as given.")


def test_initial_weights_depend_on_the_seed_alone(net):
    before = torch.random.get_rng_state()
    one, again, other = (zoo.load(f"{net}:small", seed=seed).model[0].weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_files_beside_it_can_be_imported_and_only_meanwhile(net):
    import sys

    (net.parent / "beside_the_net.py").write_text("width = 7\n")
    net.write_text(
        "from torch import nn\ndef make():\n    import beside_the_net\n    return nn.Linear(1, beside_the_net.width)\n"
    )
    path = list(sys.path)
    assert zoo.load(f"{net}:make").model.out_features == 7
    assert sys.path == path
    del sys.modules["beside_the_net"]


def test_classes_of_the_file_know_their_module(net):
    import pickle

    model = zoo.load(f"{net}:small").model
    assert type(pickle.loads(pickle.dumps(model))) is type(model)


def test_a_file_is_run_only_when_a_function_is_named(net):
    net.write_text("raise SystemExit('it ran')")
    told = f"{net}: name the function that makes the model too, as in {net}:FUNCTION"
    assert refused(net) == told
    assert refused(f"{net}:") == f"{net}:: name the function that makes the model too, as in {net}:FUNCTION"
    assert refused(f"{net}:small") == f"{net}: running it raised SystemExit: it ran"


def test_no_such_file(tmp_path):
    path = tmp_path / "no.py"
    assert refused(f"{path}:small") == f"{path}: no such file; a model is named path/to/file.py:FUNCTION"


def test_no_such_function(net):
    assert refused(f"{net}:smal") == f"unknown function of {net} 'smal'. Did you mean 'small'?"
    assert refused(f"{net}:size") == (f"unknown function of {net} 'size'. Known: Net, broken, grey, nothing, small.")


def test_a_function_that_fails(net):
    assert refused(f"{net}:broken") == f"{net}: broken() raised KeyError: 'no such thing'"


def test_a_function_that_makes_no_model(net):
    assert refused(f"{net}:nothing") == f"{net}: nothing() returned a NoneType; it must return a torch.nn.Module"


def test_a_file_that_does_not_run(net):
    net.write_text("import no_such_package_anywhere")
    told = "running it raised ModuleNotFoundError: No module named 'no_such_package_anywhere'"
    assert refused(f"{net}:small") == f"{net}: {told}"


def test_a_model_of_other_channels(net):
    told = "the model takes images of 2 channels, and photographs have 3 (or 1, in grey)"
    assert refused(f"{net}:small", mean=(0.5, 0.5), std=(1.0, 1.0)) == told
