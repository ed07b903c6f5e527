"""One step of a training: forward, backward and update; on a GPU recorded once, and replayed from then on."""

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
    recorded with it; so this is done for models of torch's and pliant's own modules without hooks alone, and not where
    one of them waits for the GPU, which cannot be recorded.
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
        if self._stream is not None and self._done == _BEFORE:
            self._record(images, labels)
        if self._stream is None:
            return self._computed(images.contiguous(memory_format=torch.channels_last), labels)
        if self._graph is None:
            # Off the default stream, where what is recorded later must not have been.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                result = self._computed(images.contiguous(memory_format=torch.channels_last), labels)
            torch.cuda.current_stream().wait_stream(self._stream)
            return result
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._graph.replay()
        for parameter, gradient in self._recorded:  # whoever looked at the model meanwhile may have taken them away
            parameter.grad = gradient
        return self._result

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

    def _record(self, images: Tensor, labels: Tensor) -> None:
        """Record the computation, into memory of its own; where that cannot be done all goes on as before."""
        self._images = images.clone(memory_format=torch.channels_last)
        self._labels = labels.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            self._optimiser.zero_grad()
            with torch.cuda.graph(graph, stream=self._stream):
                self._result = self._computed(self._images, self._labels)
        except RuntimeError:  # whatever the module did that cannot be recorded
            self._stream = None
            return
        self._graph = graph
        self._recorded = [(parameter, parameter.grad) for parameter in self._model.parameters()]


def _repeats(model: nn.Module) -> bool:
    """Whether nothing but tensors decides what the model does."""
    return all(
        type(module).__module__.startswith(_HOMES) and not (module._forward_hooks or module._forward_pre_hooks)
        for module in model.modules()
    )
