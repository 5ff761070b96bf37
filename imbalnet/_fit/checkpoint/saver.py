"""The callback that writes an unfinished fit, and resumes it in the next call.

:mod:`imbalnet._fit.train` opens the checkpoint of a fit. The net calls its `Saver` like
other callbacks after each epoch, and once before the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from imbalnet._checks import and_more
from imbalnet._fit.checkpoint.files import CheckpointFile
from imbalnet._fit.checkpoint.identity import Identity, digest_of_plans
from imbalnet._fit.checkpoint.state import pack_net, unpack_net
from imbalnet._fit.plan import TrainingPlan
from imbalnet._fit.specs import Options, Seeds
from imbalnet._tables import Rows
from imbalnet._warn import warn

# Writing takes at most this share of the time. The first checkpoint is written after so
# many seconds, which are quickly repeated.
_MOST_SHARE = 0.05
_FIRST_AFTER = 1.0

_MOST_DIFFERENCES = 3


@contextmanager
def saved_fit(
    options: Options, rows: Rows, given: Rows | None, start: Any
) -> Iterator[Saver]:
    """Open the checkpoint of a fit; raise a ValueError if it is that of another fit.

    `start` are the weights of an earlier fit that training continues from, or None. If
    the block fails, the file is kept, unless a resumed fit would fail again.
    """
    assert options.checkpoint is not None
    identity = Identity.of(options, rows, given, start)
    file = CheckpointFile(options.checkpoint, identity.digest[:16])
    with file.in_use():
        found = file.read()
        if found is not None:
            _check_same(file, Identity(found["identity"]), identity)
        saver = Saver(file, identity, options.seeds, found)
        try:
            yield saver
        except FloatingPointError:
            file.delete()
            raise


def _check_same(file: CheckpointFile, written: Identity, now: Identity) -> None:
    differences = written.differences(now)
    if differences:
        raise file.refusal(and_more(differences, _MOST_DIFFERENCES))


class Saver(Callback):
    """Write the state of training every few epochs, and restore it.

    Parameters
    ----------
    file : CheckpointFile
        The file to write.
    identity : Identity
        Identity of the fit.
    seeds : Seeds
        Seeds of the fit; a resumed fit has those of `found`.
    found : dict or None
        Content of the file, if there is one.
    """

    def __init__(
        self,
        file: CheckpointFile,
        identity: Identity,
        seeds: Seeds,
        found: dict[str, Any] | None,
    ) -> None:
        self.file, self.identity, self.found = file, identity, found
        self.seeds = seeds if found is None else Seeds(*found["seeds"])
        self.n_done, self.has_failed = 0, False

    def begin(
        self,
        net: Any,
        plans: Sequence[TrainingPlan],
        rows: Rows,
        drawing: torch.device | None,
    ) -> None:
        """Store what is saved later, and compare the training rows with the file.

        `drawing` is the device whose torch generator the fit uses, if any.
        """
        self.callbacks, self.drawing = list(net.callbacks_), drawing
        self.plans = digest_of_plans(plans, rows)
        if self.found is not None and self.found["plans"] != self.plans:
            raise self.file.refusal(
                "other training rows, or class weights, of the same data: sampler or "
                "class_weight draws without the random_state"
            )

    def resume(self, net: Any, feed: Any) -> int:
        """Restore the state of the file; return the number of its epochs.

        Samplers draw these epochs again, which restores their state.
        """
        self.next_time = time.perf_counter() + _FIRST_AFTER
        if self.found is None:
            pack_net(net, self.callbacks)  # raises now if something cannot be packed
            return 0
        self.n_done = self.found["n_done"]
        batches = net.get_iterator(feed, training=True)
        for _ in range(self.n_done):
            feed.epoch(batches.batch_size)
        unpack_net(self.found["net"], net, self.callbacks)
        if self.drawing is not None:
            _set_generators(self.drawing, self.found["generators"])
        self.found = None
        return self.n_done

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the state if enough time has passed."""
        self.n_done += 1
        began = time.perf_counter()
        if began < self.next_time:
            return
        content = self._content(net)
        try:
            self.file.write(content)
        except OSError as error:
            self._warn_once(error)
        ended = time.perf_counter()
        self.next_time = ended + (ended - began) * (1 / _MOST_SHARE - 1)

    def finish(self, is_whole: bool) -> None:
        """Delete the file, unless the fit was interrupted."""
        if is_whole:
            self.file.delete()

    def _content(self, net: Any) -> dict[str, Any]:
        generators = None if self.drawing is None else _generators(self.drawing)
        return {
            "identity": dict(self.identity.entries),
            "seeds": list(self.seeds),
            "plans": self.plans,
            "n_done": self.n_done,
            "generators": generators,
            "net": pack_net(net, self.callbacks),
        }

    def _warn_once(self, error: OSError) -> None:
        """Warn, and continue: the fit is worth more than its checkpoint."""
        if not self.has_failed:
            warn(
                f"checkpoint={self.file.asked!r} cannot be written ({error}); training "
                "goes on, but if it is killed it goes on from an earlier epoch."
            )
        self.has_failed = True


def _generators(device: torch.device) -> list[Tensor]:
    """Return the states of torch's default generators, of the CPU and of a GPU."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def _set_generators(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])
