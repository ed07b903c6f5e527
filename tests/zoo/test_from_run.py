import pytest
import torch
from zoo import run_folder

from pliant import records, zoo
from pliant._checks import InputError
from pliant.data import standardise
from pliant.nets import cifar_net


@pytest.fixture
def net(tmp_path):
    return run_folder.made(tmp_path / "run", ("max_pool",))[0]


def test_the_weights_of_the_run_are_loaded(net):
    loaded = zoo.load(str(net))
    expected = cifar_net("max_pool", 0.1, 1, 10, seed=3).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.model.state_dict().items())
    assert (loaded.name, loaded.size, loaded.channels, loaded.model.training) == ("max_pool-seed0", (32, 32), 1, False)
    assert loaded.source == "A net of the run run, weights trained on digits. Preprocessing: its own."


def test_it_sees_images_as_in_the_run(net):
    images = torch.randint(0, 256, (3, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.testing.assert_close(zoo.load(str(net)).normalise(images.float() / 255), standardise(images))


def test_untrained_it_has_initial_weights(net):
    loaded = zoo.load(str(net), pretrained=False, seed=5)
    assert torch.equal(loaded.model.head.weight, cifar_net("max_pool", 0.1, 1, 10, seed=5).head.weight)


def test_what_it_refuses(net, tmp_path):
    with pytest.raises(InputError) as error:
        zoo.load(str(net), mean=(0.5,))
    assert str(error.value) == (
        f"{net} standardises each image by its own mean and deviation: leave --mean and --std out"
    )
    records.write_json(tmp_path / "run" / "cell" / "record.json", {"cell": {}})
    with pytest.raises(InputError) as error:
        zoo.load(str(tmp_path / "run" / "cell"))
    assert str(error.value) == (
        f"{tmp_path / 'run' / 'cell'}: not a net of `pliant demo`; name a folder such as "
        "runs/demo-digits-.../max_pool-seed0"
    )
