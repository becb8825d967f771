"""Opening a pack: the folder is checked whole, its models are loaded when first asked for."""

import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cfclip.errors import CheckpointError, InputError, PackError
from cfclip.io import named, read_text, sha256_of
from cfclip.packs.manifest import (
    GET_AGAIN,
    MANIFEST_FILE,
    PackManifest,
    check_files,
    read_manifest,
)
from cfclip.packs.registry import available_packs, resolve

if TYPE_CHECKING:  # these import torch, which listing packs should not wait for
    import torch
    from torch import Tensor, nn

    from cfclip.editors import ChannelStatistics, LinearTextMap, OpenMapper
    from cfclip.embedders import Embedder
    from cfclip.encoders import Encoder, Inversion, ProjectionConfig
    from cfclip.features import IdentityNetwork
    from cfclip.generators import Generator, LatentStatistics
    from cfclip.optim import Callback
    from cfclip.regions import Parts

GENERATOR_FILE = "generator.safetensors"
ENCODER_FILE = "encoder.safetensors"
"""Optional: without it, inversion starts from the generator's mean latent."""
TEXT_MAP_FILE = "linear_text_map.safetensors"
"""Optional: without it, an edit starts from the text only with a map of the user's."""
IDENTITY_FILE = "identity.safetensors"
"""Optional: the network that trainings of a face pack keep the identity with."""
LATENT_STATISTICS_FILE = "latent_statistics.safetensors"
"""Optional: where the generator's latents lie."""
OPEN_MAPPER_FILE = "open_mapper.safetensors"
"""Optional: without it, any text takes an optimisation."""
PARTS_FILE = "parts.safetensors"
"""Optional: without it, edits are confined by what changes or by a mask, not by parts."""
CLIP_FOLDER = "clip"
REQUIRED_FILES = (
    GENERATOR_FILE,
    f"{CLIP_FOLDER}/open_clip_config.json",
    f"{CLIP_FOLDER}/open_clip_model.safetensors",
)

_LONGEST_VOCABULARY = 1 << 23
"""Characters; English has a few hundred thousand words."""
_Model = TypeVar("_Model", bound="nn.Module")
_Fitted = TypeVar("_Fitted", "LinearTextMap", "ChannelStatistics", "OpenMapper", "Parts")


class Pack:
    """An opened pack: `manifest`, `folder`, and the models, each loaded once per device.

    Make one with `Pack.open`. The models are frozen (`requires_grad` false) and in eval mode.
    """

    def __init__(self, folder: Path, manifest: PackManifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._models: dict[tuple[str, str], Any] = {}
        self._loading = threading.RLock()  # of what is loaded, some is checked against the models

    @classmethod
    def open(cls, name_or_folder: str | Path) -> "Pack":
        """Open a pack by name or folder after checking every byte of it.

        Raises `PackError` for an unknown name (listing the known ones), a manifest that does not
        fit its format, and a missing, altered, unlisted or linked-outside file.
        """
        folder = resolve(name_or_folder)
        manifest = read_manifest(folder / MANIFEST_FILE)
        if folder == available_packs().get(folder.name) and manifest.name != folder.name:
            raise PackError(
                f"folder {folder} holds the pack {manifest.name!r}; name the folder like the pack"
            )
        missing = [name for name in REQUIRED_FILES if name not in manifest.files]
        if manifest.vocabulary and manifest.vocabulary not in manifest.files:
            missing.append(manifest.vocabulary)
        if missing:
            raise PackError(f"{folder / MANIFEST_FILE} does not list {', '.join(missing)}")
        check_files(folder, manifest)
        return cls(folder, manifest)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `pack.toml`, which holds those of all other files: it stands for the pack."""
        return sha256_of(self.folder / MANIFEST_FILE)

    @cached_property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that the pack's embedder was trained on; None if it knows language at large.

        Raises `PackError` for a list that is no text, or too long.
        """
        if not self.manifest.vocabulary:
            return None
        path = self.folder / self.manifest.vocabulary
        with named(path, GET_AGAIN, PackError):
            text = read_text(path, _LONGEST_VOCABULARY)
        return frozenset(word.strip().lower() for word in text.splitlines() if word.strip())

    def text_warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """One line about the words that the pack's embedder was never trained on, if any."""
        from cfclip.embedders import unknown_words, vocabulary_warning

        if self.vocabulary is None:
            return ()
        known = self.vocabulary
        unknown = {w: near for prompt in prompts for w, near in unknown_words(prompt, known)}
        warning = vocabulary_warning(list(unknown.items()), self.manifest.name)
        return (warning,) if warning else ()

    @property
    def has_encoder(self) -> bool:
        """Whether the pack brings an encoder of its own."""
        return ENCODER_FILE in self.manifest.files

    def generator(self, device: "str | torch.device" = "cpu") -> "Generator":
        """The generator on `device`. Raises `CheckpointError`; `PackError` if it does not fit."""
        from cfclip.generators import load_generator_file

        generator = self._once(GENERATOR_FILE, device, load_generator_file)
        if generator.resolution != self.manifest.resolution:
            raise PackError(
                f"{self.folder / MANIFEST_FILE} says resolution {self.manifest.resolution}, "
                f"{GENERATOR_FILE} has {generator.resolution}; correct the former"
            )
        return generator

    def embedder(self, device: "str | torch.device" = "cpu") -> "Embedder":
        """The joint image-text embedder on `device`. Raises `CheckpointError`."""
        from cfclip.embedders import load_clip

        return self._once(CLIP_FOLDER, device, load_clip)

    def encoder(self, device: "str | torch.device" = "cpu") -> "Encoder":
        """The encoder on `device`. Raises `PackError` if there is none or it does not fit."""
        from cfclip.encoders import load_encoder_file

        if not self.has_encoder:
            raise PackError(
                f"pack {self.manifest.name!r} has no encoder; invert by projection only"
            )
        generator = self.generator(device)
        encoder = self._once(ENCODER_FILE, device, load_encoder_file)
        expected = (generator.num_ws, generator.w_dim)
        found = (encoder.num_ws, encoder.w_dim)
        if found != expected:
            raise PackError(
                f"{self.folder / ENCODER_FILE} has (num_ws, w_dim) {found}, "
                f"the generator {expected}; {GET_AGAIN}"
            )
        return encoder

    @property
    def identity_file(self) -> Path | None:
        """The file of the pack's identity network, if it brings one."""
        return self.folder / IDENTITY_FILE if IDENTITY_FILE in self.manifest.files else None

    def identity(self, device: "str | torch.device" = "cpu") -> "IdentityNetwork":
        """The identity network on `device`. Raises `PackError` if there is none."""
        from cfclip.features import load_identity

        if self.identity_file is None:
            raise PackError(
                f"pack {self.manifest.name!r} has no identity network; make the pack with one "
                "(cfclip packs create --identity FILE)"
            )
        return self._once(IDENTITY_FILE, device, load_identity)

    def latent_statistics(self) -> "LatentStatistics | None":
        """Mean and spread of the generator's W, if they were measured. Raises `CheckpointError`."""
        from cfclip.generators import load_latent_statistics

        if LATENT_STATISTICS_FILE not in self.manifest.files:
            return None
        return load_latent_statistics(self.folder / LATENT_STATISTICS_FILE)

    def invert(
        self,
        images: "Tensor",
        config: "ProjectionConfig",
        device: "str | torch.device" = "cpu",
        callback: "Callback | None" = None,
    ) -> "Inversion":
        """The inversion of an image tensor `(N, 3, R, R)` at the resolution of the pack.

        The projection starts at what the pack's encoder makes of the images, or without one at the
        generator's mean. Raises `KeyboardInterrupt` if Ctrl-C ended it.
        """
        from cfclip.encoders import project
        from cfclip.optim import INTERRUPTED

        generator, images = self.generator(device), images.to(device)
        if self.has_encoder:
            start = self.encoder(device).encode(images)
        else:
            start = generator.w_avg.expand(len(images), generator.num_ws, -1).clone()
        inversion = project(generator, self.embedder(device), images, start, config, callback)
        if INTERRUPTED in inversion.stop_reasons:
            raise KeyboardInterrupt
        return inversion

    @property
    def mapped_models(self) -> dict[str, str]:
        """File name to SHA-256 of the generator and the embedder, which text maps and text mappers
        are made for."""
        return {
            name: digest
            for name, digest in self.manifest.files.items()
            if name == GENERATOR_FILE or name.startswith(f"{CLIP_FOLDER}/")
        }

    def check_models(self, path: str | Path, found: Mapping[str, str], remedy: str) -> None:
        """Raise `CheckpointError` unless the file at `path` was made for `mapped_models`."""
        expected = self.mapped_models
        names = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
        if names:
            raise CheckpointError(
                f"{path} was made for other models than those of pack {self.manifest.name!r} "
                f"(other {', '.join(names)}); {remedy}"
            )

    @property
    def has_text_map(self) -> bool:
        """Whether it has a linear text map."""
        return TEXT_MAP_FILE in self.manifest.files

    def text_map(
        self, device: "str | torch.device" = "cpu", file: str | Path | None = None
    ) -> "LinearTextMap":
        """The linear text map on `device`: the pack's own, or that of a file.

        Raises `PackError` if the pack has none, `CheckpointError` for a file that cannot be read or
        a map made for other models than the pack's.
        """
        from cfclip.editors import load_text_map

        path = self.folder / TEXT_MAP_FILE if file is None else Path(file)
        remedy = f"cfclip fit-text-map FOLDER --pack {self.manifest.name} --out MAP.safetensors"
        if file is None and not self.has_text_map:
            raise PackError(
                f"pack {self.manifest.name!r} has no text map; make one from pictures with "
                f"captions ({remedy}) and give it (--text-map MAP.safetensors)"
            )
        return self._fitting(load_text_map(path), path, remedy, device)

    @property
    def has_open_mapper(self) -> bool:
        """Whether it has a mapper that takes any text."""
        return OPEN_MAPPER_FILE in self.manifest.files

    def open_mapper(
        self, device: "str | torch.device" = "cpu", file: str | Path | None = None
    ) -> "OpenMapper":
        """The open mapper on `device`: the pack's own, or that of a file.

        Raises `PackError` if the pack has none, `CheckpointError` for a file that cannot be read or
        a mapper made for other models than the pack's.
        """
        from cfclip.editors import load_open_mapper

        remedy = f"cfclip train --open --pack {self.manifest.name} --out RUN"

        def load(path: Path) -> "OpenMapper":
            return self._fitting(load_open_mapper(path), path, remedy, device)

        if file is not None:
            return load(Path(file))
        if not self.has_open_mapper:
            raise PackError(
                f"pack {self.manifest.name!r} has no open mapper; train one ({remedy}) and give it "
                "(--files RUN), or let the edit take its time (--method optimisation)"
            )
        return self._once(OPEN_MAPPER_FILE, device, load)

    @property
    def has_parts(self) -> bool:
        """Whether the parts of its pictures were found."""
        return PARTS_FILE in self.manifest.files

    def parts(self, device: "str | torch.device" = "cpu") -> "Parts":
        """The parts of the pack's pictures on `device`.

        Raises `PackError` if they were not found, `CheckpointError` for a file that cannot be read
        or was made for other models.
        """
        from cfclip.regions import load_parts

        remedy = f"cfclip fit-parts {shlex.quote(str(self.folder))}"
        if not self.has_parts:
            raise PackError(f"pack {self.manifest.name!r} has no parts; find them ({remedy})")

        def load(path: Path) -> "Parts":
            return self._fitting(load_parts(path), path, remedy, device)

        return self._once(PARTS_FILE, device, load)

    def channel_statistics(
        self, file: str | Path, device: "str | torch.device" = "cpu"
    ) -> "ChannelStatistics":
        """The channel statistics of a file on `device`, for global directions.

        Raises `CheckpointError` for a file that cannot be read or was made for other models than
        the pack's.
        """
        from cfclip.editors import load_channel_statistics

        remedy = f"cfclip fit-global-directions --pack {self.manifest.name} --out FILE.safetensors"
        return self._fitting(load_channel_statistics(file), file, remedy, device)

    def _fitting(
        self, fitted: _Fitted, path: str | Path, remedy: str, device: "str | torch.device"
    ) -> _Fitted:
        """What was fitted to models, if those are the pack's; else raises `CheckpointError`."""
        self.check_models(path, fitted.config.models, f"make one for it ({remedy})")
        try:
            fitted.check_fits(self.generator(device), self.embedder(device))
        except InputError as error:
            raise CheckpointError(f"{path}: {error}") from error
        return fitted.to(device)

    def _once(
        self, file: str, device: "str | torch.device", load: Callable[[Path], _Model]
    ) -> _Model:
        import torch

        key = (file, str(device))
        with self._loading:
            if key not in self._models:
                # Layers draw initial weights before theirs are read; the caller's draws go on as if
                # nothing had been loaded.
                with torch.random.fork_rng(devices=[]):
                    model = load(self.folder / file)
                self._models[key] = model.to(device).eval().requires_grad_(False)
            kept: _Model = self._models[key]
        return kept
