"""Counterfactual editing in one call, by similarity, diversity and realism."""

from pathlib import Path
from typing import Any

from PIL import Image

from cfclip.editing.methods import LOGIT_TEXT_MAP
from cfclip.editing.session import Session
from cfclip.editing.sources import Picture
from cfclip.settings import Optimizer


def counterfactual_editing(
    image: Picture,
    text: str,
    alpha: float = 1.0,
    beta: float = 0.5,
    gamma: float = 0.5,
    max_iterations: int = 100,
    lr: float = 1.0,
    *,
    t0: str | None = None,
    tn: str | None = None,
    optimizer: Optimizer = "sgd",
    pack: str | Path = "avatars",
    text_map: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    **settings: Any,
) -> Image.Image:
    """Edit a picture until it shows a text, by the plain gradient of the logit objective.

    The picture is inverted; the edit starts from its latent fused with the latent that the linear
    text map gives the text (`cfclip.editors.linear_text_map`), and takes `max_iterations` steps
    `w <- w - lr * gradient` of

        -alpha * logit S(y, text) + beta * logit S(y, t0) + gamma * logit S(y, tn)

    where `S = (1 + cos) / 2` scores the edited picture y against a text: it seeks similarity to the
    text, diversity from the original and realism (`cfclip.losses.clip_losses`). The same as
    `Session.edit` with objective "logit" and start "text-map", at a constant rate, without the
    terms that confine an edit (`latent_l2`, `changed_pixels`, `aspects`), whatever the pack's
    defaults for them, and without stopping early.

    Args:
        image: a PIL image, a file, or "sample:SEED".
        text: what the picture shall show.
        alpha, beta, gamma: the weights of the three terms.
        max_iterations: steps.
        lr: learning rate. Scores move little, so that the plain gradient takes a large one; Adam
            takes one near 0.05.
        t0: the text of the original picture; the pack's if not given.
        tn: a text that describes unrealistic pictures; the pack's if not given.
        optimizer: "sgd" for the plain gradient, or "adam".
        pack: name or folder of the models.
        text_map: file of a text map; the pack's if not given.
        seed: decides every random draw.
        device: "cpu", "cuda", "cuda:1", "mps".
        settings: further fields of `LatentOptimisationConfig`, such as `fusion`, over the pack's
            defaults and the above.

    Returns:
        The edited picture, 8-bit RGB at the pack's resolution.

    Raises:
        InputError: a picture, text or setting that cannot be used.
        PackError, CheckpointError: an unusable pack or text map, or a pack without one.
        KeyboardInterrupt: Ctrl-C during the inversion; during the edit it ends that with the last
            good result.
    """
    chosen: dict[str, Any] = {
        **LOGIT_TEXT_MAP,
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "steps": max_iterations,
        "lr": lr,
        "optimizer": optimizer,
    }
    session = Session.open(pack, device)
    (result,) = session.edit(
        [image],
        [text],
        seed,
        source_text=t0,
        unrealistic_text=tn,
        text_map=text_map,
        **{**chosen, **settings},
    )
    return result.image
