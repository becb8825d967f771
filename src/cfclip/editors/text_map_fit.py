"""Fitting a linear text map to pictures with captions, and measuring it on some of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cfclip.editors.linear_fit import LinearFit, fit_linear
from cfclip.editors.linear_text_map import LinearTextMap, LinearTextMapConfig
from cfclip.editors.optimisation_config import TextMapFitConfig
from cfclip.errors import InputError

FEWEST = 20
"""Pictures that a map takes at least, and edits that its projection takes. A useful map takes a
few per number of a text embedding; so few are hardly more than a trial."""

NO_SOURCE = -1


@dataclass(frozen=True)
class TextMapPairs:
    """Pictures and what is said of them. Raises `InputError` for parts that do not fit together.

    Attributes:
        latents: `(pictures, w_dim)`, the code of each picture in W.
        texts: `(pairs, text_dim)`, unit embeddings of the captions.
        pictures: `(pairs,)` int64, the picture that each caption describes.
        sources: `(pairs,)` int64, the picture that this one was made from by the edit that the
            caption names; `NO_SOURCE` for most.
    """

    latents: Tensor
    texts: Tensor
    pictures: Tensor
    sources: Tensor

    def __post_init__(self) -> None:
        if self.latents.ndim != 2 or self.texts.ndim != 2:
            raise InputError(
                f"latents have shape {tuple(self.latents.shape)} and texts "
                f"{tuple(self.texts.shape)}, expected (pictures, w_dim) and (pairs, text_dim)"
            )
        for name, rows in (("pictures", self.pictures), ("sources", self.sources)):
            if rows.shape != self.texts.shape[:1]:
                raise InputError(
                    f"{name} has shape {tuple(rows.shape)} for {len(self.texts)} texts, expected "
                    "one for each"
                )

    @property
    def is_edit(self) -> Tensor:
        """`(pairs,)` bool, where there is a source."""
        return self.sources != NO_SOURCE


@dataclass(frozen=True)
class TextMapReport:
    """What a map was fitted to and how well. Shares are of the variance over held-out pictures."""

    pictures: int
    captions: int
    edits: int
    solver: str
    penalty: float
    loss: float
    """Penalised loss over the fitted pairs, see `cfclip.editors.linear_fit`."""
    explained: float | None
    """Share of the variance of the codes that the captions explain; None if nothing was held out.
    Far below 1 even for a perfect map: a caption tells little of a picture."""
    fusion_loss: float | None = None
    """The same two of the projection; None without one."""
    fusion_explained: float | None = None


def fit_text_map(
    pairs: TextMapPairs, config: TextMapFitConfig, models: Mapping[str, str]
) -> tuple[LinearTextMap, TextMapReport]:
    """Fit M to all captions, and the projection of concatenation to those of edits.

    Without `FEWEST` edits there is no projection. Pictures that are held out are only measured on.

    Args:
        pairs: the captioned pictures.
        config: how to fit.
        models: hashes of generator and embedder, kept in the map; see `Pack.mapped_models`.

    Raises:
        InputError: fewer than `FEWEST` pictures with captions.
    """
    described = torch.unique(pairs.pictures)
    if len(described) < FEWEST:
        raise InputError(
            f"{len(described)} pictures with captions are too few for a text map, it takes at "
            f"least {FEWEST}; add more"
        )
    draws = torch.Generator().manual_seed(config.seed)
    count = round(config.holdout * len(described))
    held = described[torch.randperm(len(described), generator=draws)[:count]]
    fitted = ~torch.isin(pairs.pictures, held)

    texts, wanted = pairs.texts, pairs.latents[pairs.pictures]
    fit = fit_linear(texts[fitted], wanted[fitted], config)
    edit, edits = pairs.is_edit, int(pairs.is_edit.sum())
    fuses = int((edit & fitted).sum()) >= FEWEST
    made = LinearTextMap(LinearTextMapConfig(texts.shape[1], wanted.shape[1], fuses, dict(models)))
    made.weight.copy_(fit.weight)
    made.bias.copy_(fit.bias)
    fusion: LinearFit | None = None
    fusion_explained = None
    if fuses:
        before = pairs.latents[pairs.sources[edit]]
        inputs, change = torch.cat([before, made(texts[edit])], 1), wanted[edit] - before
        kept = fitted[edit]
        fusion = fit_linear(inputs[kept], change[kept], config)
        made.fusion_weight.copy_(fusion.weight)
        made.fusion_bias.copy_(fusion.bias)
        fusion_explained = _explained(fusion, inputs[~kept], change[~kept], change[kept].mean(0))
    return made, TextMapReport(
        pictures=len(described),
        captions=len(texts),
        edits=edits,
        solver=config.solver,
        penalty=config.penalty,
        loss=fit.loss,
        explained=_explained(fit, texts[~fitted], wanted[~fitted], wanted[fitted].mean(0)),
        fusion_loss=fusion.loss if fusion else None,
        fusion_explained=fusion_explained,
    )


def _explained(fit: LinearFit, inputs: Tensor, targets: Tensor, mean: Tensor) -> float | None:
    """Share of the squared distance of `targets` from `mean` that the fit takes away."""
    spread = float((targets - mean).square().sum())
    if not spread:  # nothing was held out, or it has nothing to explain
        return None
    left = (targets - functional.linear(inputs, fit.weight, fit.bias)).square().sum()
    return 1.0 - float(left) / spread
