"""The facade of cfclip: open a pack, sample or invert pictures, edit them. Every app uses it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image

from cfclip.editing.defaults import SAMPLE_TRUNCATION, edit_settings, projection_settings
from cfclip.editing.devices import checked_device
from cfclip.editing.mappers import BATCH, PackMapper, apply_mapper, open_mapper
from cfclip.editing.results import EditResult, circumstances, edit_result
from cfclip.editing.sources import Editable, Picture, Source, SourceMaker, mask_tensor, open_mask
from cfclip.editing.tuned_sources import generator_of
from cfclip.editors.editor import EditCallback, EditRequest
from cfclip.editors.latent_optimisation import LatentOptimisation
from cfclip.editors.linear_text_map import LinearTextMap
from cfclip.editors.optimisation_config import LatentOptimisationConfig, parse_layers
from cfclip.embedders.embedder import Embedder
from cfclip.embedders.prompts import check_prompt, chosen_templates, fill_templates
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.generators.generator import Generator
from cfclip.optim.descent import Callback
from cfclip.packs.pack import Pack
from cfclip.packs.vocabulary import unknown_words, vocabulary_warning
from cfclip.provenance.record import file_origin
from cfclip.settings import check_seed


class Session:
    """A pack on a device. Make one with `Session.open`; it holds no state that changes results.

    The same inputs, seed and versions on one machine give the same pictures, bit for bit, if images
    are edited one at a time; in a batch they may depend a little on its size.
    """

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.pack = pack
        self.device = device
        self._sources = SourceMaker(pack, device)

    @classmethod
    def open(cls, pack: str | Path = "avatars", device: str = "cpu") -> "Session":
        """Open a pack by name or folder, every byte of it checked.

        Args:
            pack: a name that `cfclip packs list` shows, or the folder of a pack.
            device: "cpu", "cuda", "cuda:1", "mps"; the project itself tests "cpu".

        Raises:
            PackError: an unknown, incomplete or altered pack.
            InputError: a device that this machine does not have.
        """
        checked = checked_device(device)
        return cls(Pack.open(pack), checked)

    @property
    def generator(self) -> Generator:
        """The pack's generator, loaded at first use."""
        return self.pack.generator(self.device)

    @property
    def embedder(self) -> Embedder:
        """The pack's joint image-text embedder, loaded at first use."""
        return self.pack.embedder(self.device)

    def sample(
        self, n: int = 1, seed: int = 0, truncation_psi: float = SAMPLE_TRUNCATION
    ) -> list[Source]:
        """Pictures of the generator's own making; number i is the one of seed `seed + i`.

        Args:
            n: how many, at least 1.
            seed: of the first one, at least 0.
            truncation_psi: 1 samples all that the generator knows, 0 gives its mean picture.

        Raises:
            InputError: a value out of these limits.
        """
        return self._sources.sample(n, seed, truncation_psi)

    @overload
    def invert(  # type: ignore[overload-overlap]  # a str is one picture, not a sequence of them
        self,
        image: Picture,
        projection: ProjectionConfig | None = ...,
        callback: Callback | None = ...,
    ) -> Source: ...
    @overload
    def invert(
        self,
        image: Sequence[Picture],
        projection: ProjectionConfig | None = ...,
        callback: Callback | None = ...,
    ) -> list[Source]: ...
    def invert(
        self,
        image: Picture | Sequence[Picture],
        projection: ProjectionConfig | None = None,
        callback: Callback | None = None,
    ) -> Source | list[Source]:
        """The latents that reproduce a picture, or those of each of several, one after another.

        The pack's encoder gives a first guess, optimisation refines it. A picture that is poorly
        reproduced comes with a warning.

        Args:
            image: a PIL image, a file (both cut to their central square), a `Photo` (cut to its
                face), "sample:SEED", or a code in a file of latents, as "latents.pt:3".
            projection: settings; what it was made with goes over the pack's defaults.
            callback: called after each step; returning False ends with what has been reached.

        Raises:
            InputError: a file that is not a usable picture.
            KeyboardInterrupt: Ctrl-C; half an inversion is of no use.
        """
        config = projection_settings(self.pack.manifest, projection)
        images = [image] if isinstance(image, Picture) else list(image)
        for each in images:
            if not isinstance(each, Picture):
                raise InputError(f"cannot invert a {type(each).__name__}; give an image or a file")
        if not images:
            raise InputError("no images; give at least one")
        sources = self._sources.invert(images, config, callback)
        return sources[0] if isinstance(image, Picture) else sources

    @overload
    def edit(
        self,
        image: Editable,
        text: str | Sequence[str],
        seed: int = ...,
        *,
        config: LatentOptimisationConfig | None = ...,
        projection: ProjectionConfig | None = ...,
        mask: Image.Image | str | Path | None = ...,
        source_text: str | None = ...,
        unrealistic_text: str | None = ...,
        text_map: str | Path | None = ...,
        callback: EditCallback | None = ...,
        **settings: Any,
    ) -> EditResult: ...
    @overload
    def edit(
        self,
        image: Sequence[Editable],
        text: str | Sequence[str],
        seed: int = ...,
        *,
        config: LatentOptimisationConfig | None = ...,
        projection: ProjectionConfig | None = ...,
        mask: Image.Image | str | Path | None = ...,
        source_text: str | None = ...,
        unrealistic_text: str | None = ...,
        text_map: str | Path | None = ...,
        callback: EditCallback | None = ...,
        **settings: Any,
    ) -> list[EditResult]: ...
    def edit(
        self,
        image: Editable | Sequence[Editable],
        text: str | Sequence[str],
        seed: int = 0,
        *,
        config: LatentOptimisationConfig | None = None,
        projection: ProjectionConfig | None = None,
        mask: Image.Image | str | Path | None = None,
        source_text: str | None = None,
        unrealistic_text: str | None = None,
        text_map: str | Path | None = None,
        callback: EditCallback | None = None,
        **settings: Any,
    ) -> EditResult | list[EditResult]:
        """Change a picture until it shows `text`; of several pictures, each of them.

        Ctrl-C during the optimisation ends it with the last good result, marked `interrupted`.

        Args:
            image: a PIL image, a file, a `Photo`, "sample:SEED", a `Source` of `sample` or
                `invert`, latents `(num_ws, w_dim)`, or a sequence of these, edited as one batch.
            text: what the picture shall show; of several texts, all of them together.
            seed: decides every random draw.
            config: settings of the edit; what it was made with goes over the pack's defaults.
            settings: single fields of `LatentOptimisationConfig`, over both.
            projection: settings of the inversion, in the same way.
            mask: white where the picture may change; cut and scaled as a picture is.
            source_text: what the picture shows; the pack's if not given.
            unrealistic_text: a text of failed pictures, for the logit objective; the pack's if not
                given.
            text_map: file of the linear text map that `start` "text-map" takes; the pack's if not
                given.
            callback: called after each step; returning False ends with what has been reached.

        Raises:
            InputError: a picture, text, mask or setting that cannot be used.
            PackError, CheckpointError: there is no text map, or it does not fit the pack.
        """
        manifest = self.pack.manifest
        chosen = edit_settings(manifest, config, **settings)
        prompts, about_source, unrealistic = self.check_edit(
            text, chosen, source_text, unrealistic_text, text_map
        )
        check_seed(seed)
        one = isinstance(image, Editable)
        images = [image] if isinstance(image, Editable) else image
        confined = None if mask is None else open_mask(mask, manifest.resolution, images)
        sources = self._sources.sources_of(images, projection)
        request = EditRequest(
            latents=torch.stack([source.latents for source in sources]).to(self.device),
            prompts=prompts,
            source_text=about_source,
            templates=manifest.templates,
            unrealistic_text=unrealistic,
            aspects=tuple(manifest.aspects.values()),
            seed=seed,
            # The same draws for each image: what becomes of it does not depend on its place.
            indices=(0,) * len(sources),
            mask=None if confined is None else mask_tensor(confined),
        )
        mapping = self.start_map(chosen, text_map)
        generator = generator_of(sources, self.generator)
        editor = LatentOptimisation(generator, self.embedder, chosen, mapping)
        edit = editor.edit(request, callback)
        facts = {
            **circumstances(self.pack, self.device),
            "prompts": list(prompts),
            "source_text": about_source,
            "unrealistic_text": unrealistic,
            "mask": None if confined is None else dict(confined.origin),
            "text_map": None if text_map is None else file_origin(text_map),
            "seed": seed,
            "settings": asdict(chosen),
            "batch": len(sources),
        }
        notes = (*(() if confined is None else confined.warnings), *self.text_warnings(prompts))
        results = [
            edit_result(edit, row, source, facts, notes) for row, source in enumerate(sources)
        ]
        return results[0] if one else results

    def apply(
        self,
        mapper: str | Path | PackMapper,
        images: Editable | Sequence[Editable],
        text: str | None = None,
        strength: float = 1.0,
        *,
        batch: int = BATCH,
        projection: ProjectionConfig | None = None,
    ) -> list[EditResult]:
        """Change pictures with a trained text mapper, each in one pass.

        Args:
            mapper: folder of a training, file of a mapper, or what `mappers.open_mapper` gave.
            images: what `edit` takes: one, or any number, edited `batch` at a time.
            text: the prompt; may be left out where the mapper was trained for one only.
            strength: factor on the edit; 0 changes nothing.
            batch: only the last bits of a result depend on it.
            projection: settings of the inversion; what it was made with goes over the pack's.

        Raises:
            InputError: a picture, text or strength that cannot be used.
            CheckpointError: no usable mapper, or one for other models.
        """
        if not isinstance(mapper, PackMapper):
            mapper = open_mapper(self.pack, mapper, self.device)
        (prompt,) = mapper.choose(() if text is None else (text,))
        given = [images] if isinstance(images, Editable) else images
        sources = self._sources.sources_of(given, projection)
        notes = (*self.text_warnings((prompt,)), *mapper.warnings((prompt,)))
        return apply_mapper(self.pack, mapper, sources, prompt, strength, batch, notes)

    def check_edit(
        self,
        text: str | Sequence[str],
        config: LatentOptimisationConfig,
        source_text: str | None = None,
        unrealistic_text: str | None = None,
        text_map: str | Path | None = None,
    ) -> tuple[tuple[str, ...], str, str]:
        """What of an edit can be checked before any picture is inverted; `edit` does it first.

        The texts are embedded, which the edit then need not do again.

        Returns:
            prompts, source text and text of failed pictures, cleaned, the pack's where not given.

        Raises:
            InputError: a text that cannot be used, or layers that the generator does not have.
            PackError, CheckpointError: there is no text map, or it does not fit the pack.
        """
        manifest = self.pack.manifest
        config = edit_settings(manifest, config)
        prompts = checked_prompts(text)
        about_source = check_prompt(manifest.source_text if source_text is None else source_text)
        unrealistic = check_prompt(
            manifest.unrealistic_text if unrealistic_text is None else unrealistic_text
        )
        parse_layers(config.layers, self.generator.num_ws)
        used = (unrealistic,) if config.objective == "logit" and config.gamma else ()
        templates = chosen_templates(manifest.templates, config.bare_prompt)
        for each in (*prompts, about_source, *used):
            self.embedder.embed_texts(fill_templates(templates, each))
        self.start_map(config, text_map)
        return prompts, about_source, unrealistic

    def start_map(
        self, config: LatentOptimisationConfig, file: str | Path | None = None
    ) -> LinearTextMap | None:
        """The linear text map that edits of a configuration start from; None from the source.

        Raises `InputError` for a file that would not be used, or a map that lacks the fusion, and
        as `Pack.text_map` does: the pack's own map is taken if there is no file.
        """
        if config.start == "source":
            if file is not None:
                raise InputError(
                    "a text map is given, but the edit starts from its source; let it start from "
                    "the map (--start text-map)"
                )
            return None
        text_map = self.pack.text_map(self.device, file)
        text_map.check_fusion(config.fusion)
        return text_map

    def text_warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """One line about the words that the pack's embedder was never trained on, if any."""
        known = self.pack.vocabulary
        if known is None:
            return ()
        unknown = {w: near for prompt in prompts for w, near in unknown_words(prompt, known)}
        warning = vocabulary_warning(list(unknown.items()), self.pack.manifest.name)
        return (warning,) if warning else ()


def checked_prompts(text: str | Sequence[str]) -> tuple[str, ...]:
    """One or several prompts, cleaned. Raises `InputError` for an unusable one, or none."""
    texts = (text,) if isinstance(text, str) else tuple(text)
    if not texts:
        raise InputError('no text; describe the edit, for example "green hair"')
    return tuple(check_prompt(each) for each in texts)
