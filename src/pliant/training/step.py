"""One step of a training: forward, backward and update; on a GPU recorded once, and replayed from then on."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

_BEFORE = 3  # steps run as they are written before one is recorded: libraries set themselves up in them
_HOMES = ("torch.nn.", "pliant.")


class Step:
    """What is done with each batch; all batches are of one shape.

    A GPU runs the kernels of a small net faster than a processor can start them. There, after the first steps, one is
    recorded as a CUDA graph and replayed: the same kernels in the same order. What modules do in Python would be
    recorded with it; so this is done for models of torch's and pliant's own modules without hooks alone. A step in
    which a module waits for the GPU, to look at a number, cannot be recorded.
    """

    def __init__(self, model: nn.Module, optimiser: torch.optim.SGD, device: torch.device, bf16: bool) -> None:
        self._model, self._optimiser, self._device, self._bf16 = model, optimiser, device, bf16
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" and _repeats(model) else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._done = 0

    def __call__(
        self, images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"], rate: float
    ) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
        """Train on a batch at a learning rate; returns its loss before the update, and how many were told right.

        What it returns may be overwritten by the next call.
        """
        loss, hits = self._gradients(images, labels)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._done += 1
        return loss, hits

    def _gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if self._stream is None:
            return self._computed(images.contiguous(memory_format=torch.channels_last), labels)
        if self._graph is None and self._done < _BEFORE:
            return self._written(images, labels, self._stream)
        if self._graph is None:
            self._graph = self._record(images, labels, self._stream)
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._graph.replay()
        for parameter, gradient in self._recorded:  # whoever looked at the model meanwhile may have taken them away
            parameter.grad = gradient
        return self._result

    def _written(self, images: Tensor, labels: Tensor, stream: torch.cuda.Stream) -> tuple[Tensor, Tensor]:
        """As it is written, off the default stream, where what is recorded later must not have been.

        The last such step finds out whether any can be recorded.
        """
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), _watched(self._done == _BEFORE - 1) as waits:
            result = self._computed(images.contiguous(memory_format=torch.channels_last), labels)
        torch.cuda.current_stream().wait_stream(stream)
        if waits():
            self._stream = None
        return result

    def _computed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and hits of a batch, and new gradients in the parameters."""
        # What a recorded pass casts must not be kept beyond it.
        cached = self._stream is None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=cached):
            logits = self._model(images)
        loss = F.cross_entropy(logits.float(), labels)
        self._optimiser.zero_grad()
        loss.backward()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def _record(self, images: Tensor, labels: Tensor, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        """The computation, recorded into memory of its own."""
        # With the same strides as in steps as they are written, which for one channel may be those of either format.
        self._images = images.contiguous(memory_format=torch.channels_last).clone()
        self._labels = labels.clone()
        graph = torch.cuda.CUDAGraph()
        self._optimiser.zero_grad()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):  # other threads may go on
            self._result = self._computed(self._images, self._labels)
        self._recorded = [(parameter, parameter.grad) for parameter in self._model.parameters()]
        return graph


@contextmanager
def _watched(really: bool) -> Iterator[Callable[[], bool]]:
    """Gives what says, at the end, whether the processor has waited for the GPU; always no if not `really` watched."""
    if not really:
        yield lambda: False
        return
    waits: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield lambda: bool(waits)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    for each in said:
        if "called a synchronizing" in str(each.message):
            waits.append(str(each.message))
        elif "Synchronization debug mode" not in str(each.message):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _repeats(model: nn.Module) -> bool:
    """Whether nothing but tensors decides what the model does."""
    return not _hooked(torch.nn.modules.module, "_global_") and all(
        type(module).__module__.startswith(_HOMES) and "forward" not in vars(module) and not _hooked(module, "_")
        for module in model.modules()
    )


def _hooked(place: object, prefix: str) -> bool:
    """Whether hooks on forward or backward passes are registered there."""
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(place, prefix + kind) for kind in kinds)
