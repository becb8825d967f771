"""The facade of cfclip: open a pack, sample or invert pictures, edit them. Every app uses it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image

from cfclip.editing.defaults import SAMPLE_TRUNCATION, fast_settings, projection_settings
from cfclip.editing.methods import MAPPER, OPTIMISATION, method_named
from cfclip.editing.opened_methods import OpenedMethod, edit_texts, open_method
from cfclip.editing.results import EditResult, circumstances, edit_results
from cfclip.editing.source_parts import SourceParts, find_source_parts
from cfclip.editing.sources import Editable, Picture, Source, SourceMaker, generator_of
from cfclip.editors import EditCallback, EditRequest, EditTexts, end_at_once
from cfclip.embedders import Embedder, check_prompt
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.optim import Callback
from cfclip.packs import Pack
from cfclip.provenance import Provenance, provenance_of
from cfclip.settings import MOST_AT_ONCE, EditSettings, check_number, check_seed
from cfclip.tensors import checked_device

BATCH = 16
"""Pictures that are edited at a time, at most."""


class Session:
    """A pack on a device. Make one with `Session.open`; it holds no state that changes results.

    The same inputs, seed and versions on one machine give the same pictures, bit for bit, if images
    are edited one at a time; in a batch they may depend a little on its size.
    """

    def __init__(self, pack: Pack, device: torch.device, fast: bool = False) -> None:
        self.pack = pack
        self.device = device
        self.fast = fast
        self._sources = SourceMaker(pack, device)

    @classmethod
    def open(
        cls, pack: str | Path = "avatars", device: str = "cpu", fast: bool = False
    ) -> "Session":
        """Open a pack by name or folder, every byte of it checked.

        Args:
            pack: a name that `cfclip packs list` shows, or the folder of a pack.
            device: "cpu", "cuda", "cuda:1", "mps"; the project itself tests "cpu".
            fast: edit and invert faster and a little less exactly, in bfloat16 where the device has
                it and on smaller pictures; the settings of each edit tell what that was.

        Raises:
            PackError: an unknown, incomplete or altered pack.
            InputError: a device that this machine does not have.
        """
        checked = checked_device(device)
        return cls(Pack.open(pack), checked, fast)

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
        config = self._projection(projection)
        images = [image] if isinstance(image, Picture) else list(image)
        for each in images:
            if not isinstance(each, Picture):
                raise InputError(f"cannot invert a {type(each).__name__}; give an image or a file")
        if not images:
            raise InputError("no images; give at least one")
        sources = self._sources.invert(images, config, callback)
        return sources[0] if isinstance(image, Picture) else sources

    def method(
        self,
        name: str = OPTIMISATION,
        files: Sequence[str | Path] = (),
        config: EditSettings | None = None,
        *,
        text_map: str | Path | None = None,
        **settings: Any,
    ) -> OpenedMethod:
        """A method of editing, opened once for any number of edits.

        Args:
            name: one of `cfclip.editing.methods.METHODS`.
            files: what it takes, such as the run or the file of a mapper.
            config: its settings; what they were made with goes over the defaults of the method.
            text_map: file of the linear text map that `start` "text-map" takes; the pack's if not
                given.
            settings: single fields of its settings, over both.

        Raises:
            InputError: an unknown method or setting, or files too many or too few.
            PackError, CheckpointError: a file that is missing, damaged or made for other models.
        """
        if self.fast:
            fast = fast_settings(method_named(name).settings_class, str(self.device))
            settings = {**fast, **settings}
        return open_method(
            name, self.pack, settings, files, self.device, config=config, text_map=text_map
        )

    @overload
    def edit(
        self, image: Editable, text: str | Sequence[str], seed: int = ..., **options: Any
    ) -> EditResult: ...
    @overload
    def edit(
        self, image: Sequence[Editable], text: str | Sequence[str], seed: int = ..., **options: Any
    ) -> list[EditResult]: ...
    def edit(
        self,
        image: Editable | Sequence[Editable],
        text: str | Sequence[str],
        seed: int = 0,
        *,
        method: str | OpenedMethod = OPTIMISATION,
        files: Sequence[str | Path] = (),
        config: EditSettings | None = None,
        projection: ProjectionConfig | None = None,
        mask: Image.Image | str | Path | None = None,
        source_text: str | None = None,
        unrealistic_text: str | None = None,
        text_map: str | Path | None = None,
        batch: int = BATCH,
        callback: EditCallback | None = None,
        **settings: Any,
    ) -> EditResult | list[EditResult]:
        """Change a picture until it shows `text`; of several pictures, each of them.

        Ctrl-C during an optimisation ends it with the last good result, marked `interrupted`.

        Args:
            image: a PIL image, a file, a `Photo`, "sample:SEED", a `Source` of `sample` or
                `invert`, latents `(num_ws, w_dim)`, or a sequence of these.
            text: what the picture shall show; of several texts, all of them together. None of a
                mapper that was trained for one.
            seed: decides every random draw.
            method: how, by name; or what `method` gave, with its files and settings.
            files, config, text_map: as in `method`.
            settings: single fields of the method's settings, over both.
            projection: settings of the inversion, in the same way.
            mask: white where the picture may change; cut and scaled as a picture is.
            source_text: what the picture shows; the pack's if not given.
            unrealistic_text: a text of failed pictures, for the logit objective; the pack's if not
                given.
            batch: the most pictures at a time, which are a megapixel in any case; only the last
                bits of a result depend on it.
            callback: called after each step of those; returning False ends all with what they have.

        Raises:
            InputError: a picture, text, mask or setting that cannot be used.
            PackError, CheckpointError: a file that is missing, damaged or made for other models.
        """
        given = (text,) if isinstance(text, str) else tuple(text)
        for each in given:
            check_prompt(each)  # before models are opened
        if isinstance(method, OpenedMethod):
            if config is not None or files or text_map is not None or settings:
                raise InputError(
                    "files, text_map and settings are those of the opened method; give them when "
                    "it is opened, or name the method"
                )
        else:
            method = self.method(method, files, config, text_map=text_map, **settings)
        texts = self.check_edit(method, given, source_text, unrealistic_text)
        check_seed(seed)
        check_number("batch", batch, 1, MOST_AT_ONCE)
        one = isinstance(image, Editable)
        images = [image] if isinstance(image, Editable) else image
        confined = tensor = None
        if mask is not None:
            from cfclip.editing.masks import mask_tensor, open_mask

            confined = open_mask(mask, self.pack.manifest.resolution, images)
            tensor = mask_tensor(confined)
        sources = self._sources.sources_of(images, self._projection(projection))
        facts = {
            **circumstances(self.pack, self.device),
            **method.facts,
            "prompts": list(texts.prompts),
            "source_text": texts.source_text,
            "unrealistic_text": texts.unrealistic_text,
            "mask": None if confined is None else dict(confined.origin),
            "seed": None if method.one_pass else seed,
        }
        notes = (
            *(() if confined is None else confined.warnings),
            *self.pack.text_warnings(texts.prompts),
            *method.warnings(texts.prompts),
        )
        # The same draws for each image: what becomes of it does not depend on its place.
        indices = (0,) * len(sources)
        request = EditRequest(
            **vars(texts),
            latents=torch.stack([source.latents for source in sources]).to(self.device),
            seed=seed,
            indices=indices,
            mask=tensor,
        )
        editor = method.editor_of(texts.prompts)
        at_once = min(batch, self.generator.images_at_once)
        results: list[EditResult] = []
        for first in range(0, len(sources), at_once):
            part = slice(first, first + at_once)
            some = replace(request, latents=request.latents[part], indices=indices[part])
            generator = generator_of(sources[part], self.generator)
            edit = editor.varied(generator=generator).edit(some, callback)
            results += edit_results(edit, sources[part], facts, notes, editor.one_pass)
            if any(result.record["stopped_from_outside"] for result in results):
                callback = end_at_once  # who has stopped one has stopped all
        return results[0] if one else results

    def parts(self, source: Source) -> SourceParts:
        """The parts of a picture, to which an edit of it can be confined.

        Raises:
            PackError: a pack without parts.
        """
        parts = self.pack.parts(self.device)
        generator = source.generator or self.generator
        return find_source_parts(parts, generator, source.latents.to(self.device))

    def _projection(self, projection: ProjectionConfig | None) -> ProjectionConfig:
        fast = fast_settings(ProjectionConfig, str(self.device)) if self.fast else {}
        given = {} if projection is None else projection.given_values
        return projection_settings(self.pack.manifest, **{**fast, **given})

    def provenance(self, source: Source, **facts: Any) -> Provenance:
        """What a picture states that shows a source, or edits of it with `facts` of a record."""
        record = {**circumstances(self.pack, self.device), "source": dict(source.origin), **facts}
        return provenance_of(record)

    def apply(
        self,
        mapper: str | Path | OpenedMethod,
        images: Editable | Sequence[Editable],
        text: str | None = None,
        strength: float = 1.0,
        *,
        batch: int = BATCH,
        projection: ProjectionConfig | None = None,
    ) -> list[EditResult]:
        """Change pictures with a trained text mapper: `edit` by the method "mapper".

        Args:
            mapper: folder of a training, file of a mapper, or what `method` gave.
            images: what `edit` takes: one, or any number, edited `batch` at a time.
            text: the prompt; may be left out where the mapper was trained for one only.
            strength: factor on the edit; 0 changes nothing.
            batch: only the last bits of a result depend on it.
            projection: settings of the inversion; what it was made with goes over the pack's.

        Raises:
            InputError: a picture, text or strength that cannot be used.
            CheckpointError: no usable mapper, or one for other models.
        """
        if not isinstance(mapper, str | Path | OpenedMethod):
            raise InputError(
                f"cannot apply a {type(mapper).__name__}; give a folder, a file, or what "
                'Session.method("mapper", [FILE]) gives'
            )
        opened = mapper if isinstance(mapper, OpenedMethod) else self.method(MAPPER, [mapper])
        return self.edit(
            [images] if isinstance(images, Editable) else images,
            () if text is None else text,
            method=opened.with_settings(strength=float(strength)),
            batch=batch,
            projection=projection,
        )

    def check_edit(
        self,
        method: OpenedMethod,
        text: str | Sequence[str],
        source_text: str | None = None,
        unrealistic_text: str | None = None,
    ) -> EditTexts:
        """The texts of an edit, cleaned, the pack's where not given; `edit` begins with it.

        They are embedded, which the edit then need not do again. Raises `InputError` for a text
        that cannot be used.
        """
        prompts = method.choose((text,) if isinstance(text, str) else tuple(text))
        texts = edit_texts(self.pack.manifest, prompts, source_text, unrealistic_text)
        editor = method.editor_of(texts.prompts)
        editor.read(texts)
        editor.choose_region(texts)
        return texts
