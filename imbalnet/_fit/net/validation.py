"""Scores of an epoch: loss and average precision of the validation rows.

With folds, these are all rows, each predicted by the member that was not trained on it.
skorch's callbacks are notified of each batch if one of them uses batches.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from imbalnet._fit.feeds.batches import Batch
from imbalnet._fit.feeds.fold_feed import FoldFeed
from imbalnet._fit.net.reduction import mean_loss
from imbalnet._predict import Concatenation
from imbalnet.metrics.average_precision import mean_average_precision
from imbalnet.posterior import least_log_loss


@torch.no_grad()
def validate(net: Any, batches: Any) -> None:
    """Record the scores of an :class:`~imbalnet._fit.net.ImbalanceNet`'s epoch."""
    feed = batches.dataset
    has_folds = isinstance(feed, FoldFeed)
    logits, y, weight = (
        _rows_of_folds(net, feed) if has_folds else _rows_of_batches(net, batches)
    )
    net.check_finite("The validation outputs", logits)
    loss = mean_loss(net.criterion_, logits, y, weight)
    net.record_loss("valid_loss", loss.item())
    log_posterior = net.log_posterior(logits.cpu().double())
    scores = _scores_of_folds if has_folds else _scores
    for name, score in scores(log_posterior, y.cpu().numpy(), feed).items():
        net.history.record(name, score)


def _rows_of_batches(net: Any, batches: Any) -> Batch:
    """Return logits, codes and weights, and notify the callbacks of each batch."""
    rows = Concatenation(len(batches.dataset))
    for batch in batches:
        net.notify("on_batch_begin", batch=batch[:2], training=False)
        X, y, weight = (values.to(net.device) for values in batch)
        logits = net.infer(X)
        _end_batch(net, batch[:2], logits.squeeze(1), (logits, y, weight))
        rows.add(logits, y, weight)
    logits, y, weight = rows.columns
    return logits, y, weight


def _rows_of_folds(net: Any, feed: FoldFeed) -> Batch:
    """Return out-of-fold logits, codes and weights; callbacks see one batch."""
    batch = (feed.X, feed.y) if net.batches_are_watched else ()
    net.notify("on_batch_begin", batch=batch, training=False)
    logits = net.sharing.out_of_fold_logits(net, feed)
    y, weight = (of.to(logits.device) for of in (feed.y, feed.loss_weight))
    rows = logits.unsqueeze(1), y, weight
    _end_batch(net, batch, logits, rows)
    return rows


def _end_batch(net: Any, batch: Any, y_pred: Tensor, rows: Batch) -> None:
    """Record a batch of validation rows, and notify the callbacks."""
    if net.batches_are_watched:
        net.record_batch("valid", mean_loss(net.criterion_, *rows), len(rows[1]))
    net.notify("on_batch_end", batch=batch, training=False, y_pred=y_pred)


def _scores(log_posterior: Tensor, codes: NDArray, feed: Any) -> dict[str, float]:
    """Return the average precision of the members' mean probabilities."""
    proba = log_posterior.exp().mean(1).numpy()
    precision = mean_average_precision(codes, proba, feed.score_weight)
    return {"valid_average_precision": precision}


def _scores_of_folds(
    log_posterior: Tensor, codes: NDArray, feed: FoldFeed
) -> dict[str, float]:
    """Return the scores of out-of-fold rows whose class their member has seen."""
    aligned = feed.aligned(log_posterior[:, 0])[feed.known]
    codes, weight = codes[feed.known], feed.score_weight[feed.known]
    if not len(codes):
        return {}
    precision = mean_average_precision(codes, aligned.exp().numpy(), weight)
    log_loss = least_log_loss(aligned.numpy(), codes, weight)
    unit = feed.entropy or 1.0  # 0 if all rows are of one class
    return {
        "valid_average_precision": precision,
        "valid_score": precision - log_loss / unit,
    }
