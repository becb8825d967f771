"""The pictures of docs/METHOD.md: what the text maps, the objectives and the layers do to avatars.

    python -m examples.method_figures --out docs/images/method

Every picture is made anew by the library, from samples of the generator and a fixed seed. Edits
that show one objective or one group of layers have neither `changed_pixels` nor `aspects`, and
start from the source, unlike the pack's own settings: it is the bare objective that is to be seen.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from cfclip import CfclipError, EditResult, LatentOptimisationConfig, Session
from cfclip.apps.console import Console
from cfclip.editing import Source, edit_settings
from cfclip.editors import GROUP_LAYERS, EditRequest, Fusion, fused_offset, groups_of
from cfclip.images import check_outputs, write_png
from cfclip.losses import ObjectiveName, RandomPerspective, changed_pixels_loss, global_clip_loss
from cfclip.settings import check_number
from cfclip.tensors import pil_from_signed, signed_from_pil
from cfclip.viewing import Tile, curve, picture_of, sheet, strip

HAIR = "a person with green hair"
SKIN = "a person with blue skin"
BROWS = "a person with purple eyebrows"

OBJECTIVES: Mapping[ObjectiveName, str] = {
    "clip_nce": "CLIP-NCE",
    "directional": "directional",
    "global": "global CLIP",
    "logit": "logit",
}
BARE: Mapping[str, Any] = {
    "space": "w_plus",
    "steps": 100,
    "lr": 0.05,
    "latent_l2": 1.0,
    "start": "source",
    "changed_pixels": 0.0,
    "aspects": 0.0,
    "distortion": 0.5,
    "patience": 0,
}
"""The library's defaults, where a pack may have others: an objective and the latent penalty."""
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
VIEWS = 3
DISTORTIONS = (0.2, 0.5)
PALETTE = 256
"""Colours of a picture that is kept in the documentation; flat drawings need no more."""
_REFINEMENTS = 3


class Figures:
    """Makes the pictures; each method makes one.

    Args:
        session: the pack to show.
        seed: decides every random draw of an edit.
        steps: of each edit; those that the library or the pack has if not given.
        console: told of each edit.
    """

    def __init__(self, session: Session, seed: int, steps: int | None, console: Console) -> None:
        self._session = session
        self._seed = seed
        self._steps = {} if steps is None else {"steps": steps}
        self._console = console
        self._sources = session.sample(3, seed=1)

    def objectives(self) -> Image.Image:
        """One source and seed, every objective; below each, what it came to."""
        rows = []
        for source, text in ((self._sources[0], HAIR), (self._sources[1], SKIN)):
            row: list[Tile] = [(source.image, f"source; t: {text}")]
            for objective, label in OBJECTIVES.items():
                result = self._edit(source, text, **BARE, objective=objective)
                row.append((result.image, f"{label}: {self._measured(result)}"))
            result = self._edit(source, text)
            row.append((result.image, f"the pack's settings: {self._measured(result)}"))
            rows.append(row)
        return sheet(rows)

    def text_map(self) -> Image.Image:
        """The linear map alone, by each fusion, and what optimisation makes of its start."""
        rows = []
        for source, text in zip(self._sources, (HAIR, SKIN, BROWS), strict=True):
            result = self._edit(source, text, start="text-map")
            rows.append(
                [
                    (source.image, f"source; t: {text}"),
                    (self._fused(source, text, "add"), "w + M(E(t)) - w_avg"),
                    (self._fused(source, text, "concatenate"), "w + P [w; M(E(t))]"),
                    (result.image, "optimised, from the added start"),
                ]
            )
        return sheet(rows)

    def strengths(self) -> Image.Image:
        """One offset, rendered at several strengths."""
        result = self._edit(self._sources[0], HAIR)
        return strip([(result.at_strength(s).image, f"strength {s:g}") for s in STRENGTHS])

    def layers(self) -> Image.Image:
        """The same edit by each group of layers alone."""
        source, count = self._sources[0], self._session.generator.num_ws
        tiles: list[Tile] = [(source.image, f"source; t: {HAIR}")]
        for group in groups_of(count):
            chosen = range(count)[GROUP_LAYERS[group]]
            result = self._edit(source, HAIR, **BARE, layers=f"{chosen[0]}-{chosen[-1]}")
            tiles.append(
                (
                    result.image,
                    f"{group}, layers {chosen[0]}-{chosen[-1]}: {self._measured(result)}",
                )
            )
        return strip(tiles)

    def views(self) -> Image.Image:
        """What CLIP sees of an image in one step, at two sizes of the perspectives."""
        source = self._sources[0].image
        image = signed_from_pil([source], source.width)
        rows = []
        for distortion in DISTORTIONS:
            views = pil_from_signed(RandomPerspective(VIEWS, distortion)(image, self._seed, 0))
            label = f"distortion {distortion:g}"
            rows.append(
                [
                    (source, "the image"),
                    *((v, f"{label}, view {i + 1}") for i, v in enumerate(views)),
                ]
            )
        return sheet(rows)

    def curves(self) -> Image.Image:
        """Every term of one edit with the pack's settings, over the steps."""
        result = self._edit(self._sources[0], HAIR)
        return strip(
            [
                (picture_of(curve(values)), f"{name}: {values[0]:.3g} to {values[-1]:.3g}")
                for name, values in result.history.items()
            ]
        )

    def _edit(self, source: Source, text: str, **settings: Any) -> EditResult:
        config = edit_settings(self._session.pack.manifest, **{**settings, **self._steps})
        began = time.perf_counter()
        result = self._session.edit(source, text, self._seed, config=config)
        if result.interrupted:
            raise KeyboardInterrupt
        spent = time.perf_counter() - began
        told = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in BARE)
        self._console.note(f"{source.name}, {text} ({told or 'as usual'}): {spent:.0f} s")
        return result

    @torch.no_grad()
    def _measured(self, result: EditResult) -> str:
        """The similarity to the prompt, without perspectives, and how much has changed."""
        session, size = self._session, result.image.width
        edited, source = signed_from_pil([result.image, result.reconstruction], size).split(1)
        embedder = session.embedder
        cosine = 1.0 - global_clip_loss(
            embedder.embed_images(edited.to(session.device)),
            embedder.embed_texts([*result.prompts]),
        )
        changed = changed_pixels_loss(edited, source)
        return f"cos {float(cosine):.2f}, {float(changed):.0%} of pixels changed"

    @torch.no_grad()
    def _fused(self, source: Source, text: str, fusion: Fusion) -> Image.Image:
        """The source moved by the linear map alone."""
        session, manifest = self._session, self._session.pack.manifest
        latents = source.latents[None].to(session.device)
        request = EditRequest(
            latents=latents,
            prompts=(text,),
            source_text=manifest.source_text,
            templates=manifest.templates,
        )
        text_map = session.pack.text_map(session.device)
        moved = fused_offset(text_map, fusion, session.generator, session.embedder, request)
        return pil_from_signed(session.generator.synthesis(latents + moved[:, None]))[0]


def small(picture: Image.Image) -> Image.Image:
    """The picture in `PALETTE` colours, a quarter of the bytes.

    Colours are chosen by extent, not by how many pixels have them: what is small and of a colour of
    its own, such as brows, keeps that colour.
    """
    return picture.quantize(
        PALETTE, Image.Quantize.MAXCOVERAGE, kmeans=_REFINEMENTS, dither=Image.Dither.NONE
    )


FIGURES: Mapping[str, Callable[[Figures], Image.Image]] = {
    "objectives.png": Figures.objectives,
    "text_map.png": Figures.text_map,
    "strengths.png": Figures.strengths,
    "layers.png": Figures.layers,
    "views.png": Figures.views,
    "curves.png": Figures.curves,
}


def make_figures(
    out: Path, pack: str, seed: int, steps: int | None, console: Console, only: tuple[str, ...] = ()
) -> list[Path]:
    """Make the pictures, or `only` some of them; earlier ones in `out` are replaced."""
    if steps is not None:
        LatentOptimisationConfig(steps=steps)  # which knows the limits
    check_number("seed", seed, 0)
    paths = [out / name for name in only or FIGURES]
    check_outputs(paths, overwrite=True)
    figures = Figures(Session.open(pack), seed, steps, console)
    for path in paths:
        write_png(small(FIGURES[path.name](figures)), path, {"Software": "cfclip"}, overwrite=True)
        console.result({"figure": str(path)}, str(path))
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Make the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.method_figures", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--pack", default="avatars", help="model pack, by name or folder")
    parser.add_argument("--seed", type=int, default=0, help="decides every random draw")
    parser.add_argument("--steps", type=int, help="of each edit; the usual ones if not given")
    parser.add_argument(
        "--only", nargs="+", default=[], choices=list(FIGURES), help="pictures to make; all if none"
    )
    options = parser.parse_args(arguments)
    console = Console(quiet=False, as_json=False)
    try:
        make_figures(
            options.out, options.pack, options.seed, options.steps, console, tuple(options.only)
        )
    except CfclipError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error(f"interrupted; what was finished is in {options.out}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
