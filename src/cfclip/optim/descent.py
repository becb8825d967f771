"""Gradient descent on a batch of independent problems: the loop of projection and of editing.

Every image of the batch is its own problem. The gradient is taken of the *sum* of the images'
losses, the optimisers are elementwise, and an image that stopped leaves the batch; what happens to
one image therefore never depends on the others.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cfclip.optim.updates import AdamUpdate, PlainUpdate
from cfclip.settings import DescentSettings

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Mapping[str, Tensor]]]
"""`(values (n, ...), rows (n,) int64) -> (objective (n,), named terms (n,) each)`, where `rows`
says which images of the batch the values belong to. Row i may depend on image i only."""

TOTAL = "total"
"""Name under which the objective itself enters the history."""

COMPLETED = "completed"
CONVERGED = "converged"
STOPPED = "stopped by the caller"
INTERRUPTED = "interrupted"

_SMOOTHING = 0.9
"""Weight of the past in the running mean of the objective that stopping is judged by."""

_DIVERGENCE = 4.0
"""An image diverged when its smoothed objective rose this many times its size at the start (at
least 1) above it. CLIP-NCE may double within a few steps of a healthy edit."""


@dataclass(frozen=True)
class Progress:
    """What callbacks of whatever takes several steps are given."""

    step: int
    """Steps done; of an optimisation the updates so far, 0 at the first evaluation."""
    steps: int
    """Steps in all, or at most."""
    terms: dict[str, float] = field(default_factory=dict)
    """What is known of the last step, such as the terms of an objective, unweighted."""
    seconds_left: float | None = None
    """Estimate, where there is a better one than the steps give."""


@dataclass(frozen=True, kw_only=True)
class DescentStep(Progress):
    """What a callback sees after each evaluation.

    The terms are those of the objective and `TOTAL`, mean over the images that were evaluated
    (without those that failed, unless all did).
    """

    running: int
    """Images that were evaluated, those that end with this step included."""


Callback = Callable[[DescentStep], bool | None]
"""Called after each evaluation; returning False ends the descent with what has been reached."""


@dataclass(frozen=True)
class DescentResult:
    """Where each image ended.

    Attributes:
        values: like the start; each image's last finite (or best) values.
        steps: updates behind those of each image.
        history: per image, the values of each term and of `TOTAL` at every evaluation whose
            objective was finite (none at all, if not even the first was).
        stop_reasons: per image, `COMPLETED`, `CONVERGED`, `STOPPED`, `INTERRUPTED`, or a sentence
            about what went wrong.
    """

    values: Tensor
    steps: tuple[int, ...]
    history: tuple[dict[str, list[float]], ...]
    stop_reasons: tuple[str, ...]


def learning_rate(settings: DescentSettings, step: int) -> float:
    """Learning rate of update `step` (from 0): linear ramp-up, plateau, cosine ramp-down.

    The schedule of StyleGAN2's projector (Karras et al. 2020), which StyleCLIP uses too.

    >>> settings = DescentSettings(steps=100, lr=1.0, ramp_up=0.1, ramp_down=0.5)
    >>> [round(learning_rate(settings, step), 3) for step in (4, 9, 50, 75, 99)]
    [0.5, 1.0, 1.0, 0.5, 0.001]
    """
    rate = settings.lr
    rising = settings.ramp_up * settings.steps
    falling = settings.ramp_down * settings.steps
    if rising > 0:
        rate *= min(1.0, (step + 1) / rising)
    if falling > 0:
        left = min(1.0, (settings.steps - step) / falling)
        rate *= 0.5 - 0.5 * math.cos(math.pi * left)
    return rate


def descend(
    start: Tensor,
    evaluate: Evaluate,
    settings: DescentSettings,
    callback: Callback | None = None,
) -> DescentResult:
    """Minimise each image's objective over its row of `start` `(batch, ...)`.

    A non-finite objective or gradient, or divergence, ends that image at its last good values and
    is told in `stop_reasons`; `KeyboardInterrupt` ends all of them the same way. Exceptions of
    `evaluate` and `callback` pass through.
    """
    images = [_Image() for _ in range(start.shape[0])]
    last = start.detach().clone()
    best = last
    values = start.detach().clone().requires_grad_(True)
    update = PlainUpdate(values) if settings.optimizer == "sgd" else AdamUpdate(values)
    try:
        for step in range(settings.steps + 1):
            rows = [index for index, image in enumerate(images) if image.stop_reason is None]
            if not rows:
                break
            rows_tensor = torch.tensor(rows, device=values.device)
            final = step == settings.steps
            with torch.set_grad_enabled(not final):
                totals, terms = evaluate(values[rows_tensor], rows_tensor)
            columns = _columns(totals, terms)
            improved = [images[row].record(step, columns, i) for i, row in enumerate(rows)]
            # New tensors, not in place: an interrupt between two lines leaves a whole state.
            finite = torch.isfinite(totals.detach())
            last = _replaced(last, values, rows_tensor[finite])
            best = _replaced(
                best, values, rows_tensor[torch.tensor(improved, device=finite.device)]
            )
            if not final:
                _take_step(values, totals, finite, rows_tensor, update, settings, step, images)
            for row in rows:
                images[row].judge(settings, final)
            if callback is not None and callback(_describe(step, settings, columns)) is False:
                _stop_all(images, STOPPED)
    except KeyboardInterrupt:
        _stop_all(images, INTERRUPTED)
    at_best = [settings.keep_best or image.diverged for image in images]
    result = last.clone()
    result[at_best] = best[at_best]
    return DescentResult(
        values=result,
        steps=tuple(
            image.best_step if best_is_kept else image.last_step
            for image, best_is_kept in zip(images, at_best, strict=True)
        ),
        history=tuple(image.history for image in images),
        stop_reasons=tuple(image.stop_reason or COMPLETED for image in images),
    )


@dataclass
class _Image:
    """Progress of one image."""

    history: dict[str, list[float]] = field(default_factory=dict)
    stop_reason: str | None = None
    diverged: bool = False
    last_step: int = 0
    best_step: int = 0
    _smooth: float = math.nan
    _lowest: float = math.inf
    _lowest_smooth: float = math.inf
    _waited: int = 0

    def record(self, step: int, columns: Mapping[str, list[float]], position: int) -> bool:
        """Note the terms at `position` of each column; True when the objective is the lowest."""
        total = columns[TOTAL][position]
        for name, column in columns.items():
            known = self.history.setdefault(name, [])
            # Records are JSON, which has no NaN; the stop reason tells what happened.
            if math.isfinite(total):
                known.append(column[position])
        if not math.isfinite(total):
            # From the first step on, this is where the image already was.
            self.stop_reason = (
                f"the objective became {total} at step {step}; kept the last good result, of step "
                f"{self.last_step} (a lower learning rate may help)"
            )
            return False
        self.last_step = step
        self._smooth = _SMOOTHING * self._smooth + (1 - _SMOOTHING) * total if step else total
        improved = total < self._lowest
        if improved:
            self._lowest, self.best_step = total, step
        return improved

    def judge(self, settings: DescentSettings, final: bool) -> None:
        """Decide whether the image goes on after this step."""
        if self.stop_reason is not None:
            return
        start = self.history[TOTAL][0]
        if self._smooth > start + _DIVERGENCE * max(1.0, abs(start)):
            self.diverged = True
            self.stop_reason = (
                f"the objective diverged, from {start:.3g} to {self.history[TOTAL][-1]:.3g} at "
                f"step {self.last_step}; kept the best result, of step {self.best_step} "
                "(a lower learning rate may help)"
            )
            return
        if final:
            self.stop_reason = COMPLETED
            return
        judged = math.isfinite(self._lowest_smooth)
        enough = settings.tolerance * abs(self._lowest_smooth) if judged else 0.0
        if self._smooth < self._lowest_smooth - enough:
            self._lowest_smooth, self._waited = self._smooth, 0
        else:
            self._waited += 1
        if settings.patience and self._waited >= settings.patience:
            self.stop_reason = CONVERGED


def _columns(totals: Tensor, terms: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Terms and total as lists of floats over the running images."""
    named = {**terms, TOTAL: totals}
    columns = torch.stack([term.detach().float() for term in named.values()]).tolist()
    return dict(zip(named, columns, strict=True))


def _replaced(kept: Tensor, values: Tensor, rows: Tensor) -> Tensor:
    return kept.index_copy(0, rows, values.detach()[rows])


def _take_step(
    values: Tensor,
    totals: Tensor,
    finite: Tensor,
    rows: Tensor,
    update: Callable[[Tensor, float], None],
    settings: DescentSettings,
    step: int,
    images: list[_Image],
) -> None:
    """One update from the gradient of the sum over the images whose objective is finite."""
    if not bool(finite.any()):
        return
    (gradient,) = torch.autograd.grad(totals[finite].sum(), values)
    flat_finite = torch.isfinite(gradient.flatten(1)).all(1)
    for row in rows[~flat_finite[rows]].tolist():
        if images[row].stop_reason is None:
            images[row].stop_reason = (
                f"the gradient was not finite at step {step}; kept the result of that step "
                "(a lower learning rate may help)"
            )
    # Rows with a broken gradient have stopped and are never read again.
    update(gradient.nan_to_num(0.0, 0.0, 0.0), learning_rate(settings, step))


def _describe(
    step: int, settings: DescentSettings, columns: Mapping[str, list[float]]
) -> DescentStep:
    count = len(columns[TOTAL])
    used = [i for i, total in enumerate(columns[TOTAL]) if math.isfinite(total)] or range(count)
    means = {name: sum(column[i] for i in used) / len(used) for name, column in columns.items()}
    return DescentStep(step, settings.steps, means, running=count)


def _stop_all(images: list[_Image], reason: str) -> None:
    for image in images:
        if image.stop_reason is None:
            image.stop_reason = reason
