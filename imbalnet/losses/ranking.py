"""A ranking loss: a smooth average precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imbalnet._checks import checked_number, checked_share
from imbalnet.losses.base import Loss, checked_batch, log_softmax_and_complement

# Most pairs of rows that are compared at once, and in total for validation.
_PAIRS_AT_ONCE = 2**22
_VALIDATION_PAIRS = 2**26
# Validation rows that are ranked in each class: if the pairs allow it, and at least.
_ENOUGH_RANKED = 200
_FEWEST_RANKED = 20


class AveragePrecision(Loss):
    """One minus a smooth average precision of the batch, after a warm-up.

    A positive row i has two ranks, among all rows j of the batch and among the
    positives. Both are sums of sigmoids of the differences of log odds,
    ``sigmoid((s_j - s_i) / temperature)``. Their ratio is the precision at i, and the
    mean of these is the average precision of the batch [1]_. Positives have the value
    ``(1 - precision at i) * batch rows / positives`` and negatives 0, so that the mean
    over the batch is one minus its average precision. For three or more classes it is
    the mean over the classes, each one against the rest.

    Every batch must hold positives: without a `sampler` the classifier uses
    "stratified_batch". Class weights and sample weights raise an error. There is no
    calibrated inverse: outputs only rank; wrap the classifier in
    :class:`sklearn.calibration.CalibratedClassifierCV`.

    Parameters
    ----------
    temperature : float, default=1.0
        Width of the sigmoids in log odds, more than 0. Small values are close to the
        true metric, but only pairs of similar scores have a gradient.
    warmup : float, default=0.5
        Share of training that uses the cross entropy, in [0, 1]: a ranking loss has
        little gradient before rows are roughly in order. With 1 all of it does.

    References
    ----------
    .. [1] Brown et al., "Smooth-AP: Smoothing the Path Towards Large-Scale Image
       Retrieval", ECCV 2020.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.losses import AveragePrecision
    >>> loss = AveragePrecision(temperature=0.01, warmup=0.0)
    >>> logits = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, 0.0]])
    >>> loss(logits, torch.tensor([1, 0, 1])).mean()  # 1 - (1 / 1 + 2 / 3) / 2
    tensor(0.1667)
    """

    is_calibrated = False
    is_ranking = True

    def __init__(self, temperature: float = 1.0, warmup: float = 0.5) -> None:
        super().__init__()
        name = "loss__temperature"
        self.temperature = checked_number(name, temperature, 0, open_low=True)
        self.warmup = checked_share("loss__warmup", warmup)
        self.progress = 0.0

    def begin_epoch(self, progress: float) -> None:
        """Set the progress of training, from 0 to below 1."""
        self.progress = checked_share("progress", progress)

    @property
    def is_warming_up(self) -> bool:
        """Whether the loss is the cross entropy for now."""
        is_early = self.progress < self.warmup or self.warmup == 1
        return self.training and is_early

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row."""
        logits = checked_batch(logits, target)
        if self.is_warming_up:
            return F.cross_entropy(logits, target, reduction="none")
        n_rows, n_classes = logits.shape
        log_odds = _log_odds(logits)
        ranked = self._ranked(target, n_classes)
        at_once = max(1, _PAIRS_AT_ONCE // max(1, n_rows))
        missed = torch.cat(
            [self._missed(log_odds, target, rows) for rows in ranked.split(at_once)]
        )
        n_of_class = torch.bincount(target[ranked], minlength=n_classes)
        n_present = (n_of_class > 0).sum().clamp(min=1)
        # in the precision of the logits, not in torch's default one
        share = n_rows / (n_of_class[target[ranked]] * n_present).to(missed)
        return torch.zeros_like(log_odds[:, 0]).index_add(0, ranked, missed * share)

    def _ranked(self, target: Tensor, n_classes: int) -> Tensor:
        """Choose the rows whose rank counts: positives, or all of several classes.

        Of many validation rows, each class contributes an evenly spaced sample.
        """
        by_class = target.argsort(stable=True)
        ranked = by_class[target[by_class] == 1] if n_classes == 2 else by_class
        if self.training or not len(ranked):
            return ranked
        counts = torch.bincount(target[ranked], minlength=n_classes)
        allowed = _VALIDATION_PAIRS / len(target)  # rows that may be ranked
        fewest = max(_FEWEST_RANKED, min(_ENOUGH_RANKED, allowed / n_classes))
        wanted = (allowed * counts / len(ranked)).clamp(min=fewest)
        step = (counts / wanted).ceil().long().clamp(min=1)
        code = target[ranked]
        place = torch.arange(len(ranked), device=code.device)
        return ranked[(place - (counts.cumsum(0) - counts)[code]) % step[code] == 0]

    def _missed(self, log_odds: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """Compute one minus the precision at each of the `rows`."""
        own = target[rows]
        scores = log_odds[:, own]  # (batch, rows): for the class of each ranked row
        gap = scores - scores[rows, torch.arange(len(rows), device=rows.device)]
        ahead = torch.sigmoid(gap / self.temperature)
        is_alike = target[:, None] == own
        is_other = rows != torch.arange(len(target), device=rows.device)[:, None]
        rank = 1 + (ahead * is_other).sum(0)
        rank_among_alike = 1 + (ahead * (is_other & is_alike)).sum(0)
        return 1 - rank_among_alike / rank


def _log_odds(logits: Tensor) -> Tensor:
    """Compute ``log(v / (1 - v))`` of every class."""
    if logits.shape[-1] == 2:
        return logits - logits.flip(-1)
    log_v, log_rest = log_softmax_and_complement(logits)
    return log_v - log_rest
