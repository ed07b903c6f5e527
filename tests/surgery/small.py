"""Small models that are hard to operate on."""

import torch
import torch.nn.functional as F
from torch import nn


def images_of(size, channels=3):
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0))


def outputs(model, images):
    with torch.no_grad():
        return model.eval()(images)


def recorded(model, images):
    """The map that each module puts out, by name; of a module that runs several times the last."""
    found = {}

    def hook(name):
        return lambda module, taken, out: found.update({name: out.clone()}) if torch.is_tensor(out) else None

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    outputs(model, images)
    for handle in handles:
        handle.remove()
    return found


def of_other_size(model, changed, images):
    """The pools and the convolutions of stride 1 whose map has not the size that it had: there must be none."""
    before, after = recorded(model, images), recorded(changed, images)
    kinds = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d
    names = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    full = [name for name in names if not _moved(model.get_submodule(name), changed.get_submodule(name))]
    return [name for name in full if before[name].shape != after[name].shape]


def _moved(layer, changed):
    """Whether a convolution has lost its stride to a blur, and puts out a larger map itself."""
    return isinstance(layer, nn.Conv2d) and max(layer.stride) > 1 and max(changed.stride) == 1


class Own(nn.Conv2d):
    """A convolution of a class of its own, 3x3 with stride 2: `function` of itself and the map."""

    def __init__(self, function, **settings):
        super().__init__(3, 4, 3, 2, **{"padding": 1, **settings})
        self.function = function

    def forward(self, images):
        return self.function(self, images)


class Into(nn.Module):
    """A strided convolution, an activation that is a function, and the one layer that takes what it puts out."""

    def __init__(self, taker, stride=2):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride, 1)
        self.taker = taker

    def forward(self, images):
        return self.taker(F.relu(self.conv(images)))


class Down(nn.Module):
    """A layer without parts that subsamples by a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


class Maps(nn.Module):
    """Two maps, of which one has been subsampled more often; each is averaged if `mean`."""

    def __init__(self, mean=False):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.mean = mean

    def forward(self, images):
        one = F.relu(self.first(images))
        two = F.relu(self.second(one))
        return torch.cat((one.mean((2, 3)), two.mean((2, 3))), 1) if self.mean else (one, two)


class Functional(nn.Module):
    """Downsampling by functions, and an activation that is one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.second = nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, images):
        mapped = self.second(F.relu(self.first(images)))
        mapped = F.avg_pool2d(F.max_pool2d(F.max_pool2d(mapped, 3, 1, 1), 2), kernel_size=2, stride=2)
        return mapped[:, :, ::2, ::2].mean((2, 3))


class Untraceable(nn.Module):
    """What runs depends on numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, images):
        mapped = self.body(images)
        return self.last(mapped) if mapped.sum() > -1 else mapped


class GlobalPool(nn.Module):
    """A pool whose size is known in the forward pass alone."""

    def forward(self, images):
        return F.avg_pool2d(images, images.shape[2:])


class TwoArguments(nn.Module):
    """What the activation, a function, puts out goes into a layer as its second argument."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.mix = nn.Bilinear(8, 8, 2)

    def forward(self, images):
        mapped = F.relu(self.conv(images))
        return self.mix(images[:, :, :8, :8].mean(1, keepdim=True).expand(-1, 4, -1, -1), mapped)


class Shared(nn.Module):
    """One convolution, used twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 2, 1)

    def forward(self, images):
        return F.relu(self.conv(F.relu(self.conv(images))))


class Branches(nn.Module):
    """Two branches of the same strides, added, each with two strided layers; and one of other strides if `uneven`."""

    def __init__(self, uneven=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.left = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
        self.right = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1, 2), nn.ReLU())
        self.far = nn.Sequential(nn.Conv2d(4, 4, 4, 4)) if uneven else None

    def forward(self, images):
        mapped = self.stem(images)
        joined = torch.cat((self.left(mapped), self.right(mapped)), dim=1)
        if self.far is not None:
            joined = joined[:, :4] + self.far(mapped)
        return joined.mean((2, 3))
