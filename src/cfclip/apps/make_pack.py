"""`cfclip packs create` and `cfclip packs download`: packs of models from elsewhere."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cfclip.apps.console import Console
from cfclip.apps.options import INTERRUPTED, OK, Output
from cfclip.embedders import find_clip
from cfclip.errors import InputError
from cfclip.packs import PACKS_VARIABLE, PublishedGenerator, free_folder, published_generator

if TYPE_CHECKING:
    from cfclip.packs import CreatedPack

DEFAULT_CLIP = "ViT-B-32-quickgelu:openai"
"""The CLIP of the papers on StyleGAN2 with text: StyleCLIP, StyleGAN-NADA, CF-CLIP."""


@dataclass(frozen=True)
class PacksCreate(Output):
    """Make a pack of models that were trained elsewhere.

    The models are opened by their content; docs/YOUR-OWN-DOMAIN.md walks through it. The pack is
    then used by its folder (--pack OUT/NAME), or by its name where CFCLIP_PACKS lists OUT.
    """

    name: str
    """Of the pack: lower-case letters, digits and hyphens."""

    generator: Path
    """StyleGAN2: a file of NVIDIA's (.pkl), rosinality's (.pt) or cfclip's (.safetensors), or
    another that docs/WEIGHTS.md lists."""

    source_text: str
    """What any picture of the generator shows, such as "dog"."""

    clip: str = DEFAULT_CLIP
    """CLIP: OpenAI's name (ViT-B/32), MODEL:TAG of open_clip, MODEL:FILE, hf-hub:OWNER/NAME, a
    folder, or a .pt archive of OpenAI's."""

    encoder: Path | None = None
    """Encoder for this generator: pSp or e4e (.pt), or cfclip's (.safetensors)."""

    encoder_kind: Literal["e4e", "psp"] | None = None
    """Which one --encoder is, where its options do not tell."""

    identity: Path | None = None
    """Identity network for faces, laid out as model_ir_se50.pth."""

    unrealistic_text: str | None = None
    """What a broken picture looks like, for the logit objective."""

    licence: Annotated[str | None, tyro.conf.arg(aliases=["--license"])] = None
    """Licence of the weights, kept in the pack."""

    attribution: str = ""
    """Whom to credit, kept in the pack."""

    out: Path = Path(".")
    """Folder that the pack's folder is made in."""

    def run(self) -> int:
        """Open, check, write, try; tell what the pack can do."""
        free_folder(self.out, self.name)
        find_clip(self.clip)  # before all that takes long
        from cfclip.packs import UNREALISTIC_TEXT, UNSTATED, PackParts, create_pack

        parts = PackParts(
            name=self.name,
            generator=self.generator,
            clip=self.clip,
            source_text=self.source_text,
            encoder=self.encoder,
            encoder_kind=self.encoder_kind,
            identity=self.identity,
            unrealistic_text=self.unrealistic_text or UNREALISTIC_TEXT,
            licence=self.licence or UNSTATED,
            attribution=self.attribution,
        )
        _report(self.console, create_pack(parts, self.out, self.console.note))
        return OK


@dataclass(frozen=True)
class PacksDownload(Output):
    """Download a published generator, once its licence is accepted, and make a pack of it.

    Known are ffhq, afhqdog, afhqcat, afhqwild and metfaces. A download that was broken off goes on
    where it was; the file's hash is remembered at first use and checked ever after.
    """

    generator: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Which generator."""

    accept_licence: Annotated[bool, tyro.conf.arg(aliases=["--accept-license"])] = False
    """You have read the licence that is shown without this, and accept it."""

    name: str | None = None
    """Of the pack; that of the generator if not given."""

    clip: str = DEFAULT_CLIP
    """CLIP, as for `packs create`."""

    encoder: Path | None = None
    """Encoder for this generator, as for `packs create`."""

    identity: Path | None = None
    """Identity network for faces, as for `packs create`."""

    out: Path = Path(".")
    """Folder that the pack's folder is made in."""

    address: str | None = None
    """Another place of the same file."""

    downloads: Path | None = None
    """Folder that keeps what is downloaded; in your cache if not given."""

    def run(self) -> int:
        """Show the licence; if it is accepted: fetch, check, make the pack."""
        console = self.console
        published = published_generator(self.generator)
        for line in _description(published):
            console.note(line)
        if not self.accept_licence:
            raise InputError(
                f"{published.name} is under the {published.licence}, {published.terms}; read "
                f"{published.licence_address} and give --accept-license if you accept it"
            )
        from cfclip.packs import Downloads, downloads_folder, fetch_generator, published_parts

        name = self.name or published.name
        free_folder(self.out, name)
        find_clip(self.clip)
        kept = Downloads(self.downloads or downloads_folder())
        try:
            with console.progress(f"downloading {published.file} (MB)") as update:
                path = fetch_generator(published, kept, self.address, update)
        except KeyboardInterrupt:
            console.error(
                f"interrupted; what came is kept in {kept.folder}, the same command goes on from "
                "there"
            )
            return INTERRUPTED
        from cfclip.packs import create_pack

        parts = published_parts(published, path, name, self.clip)
        parts = replace(parts, encoder=self.encoder, identity=self.identity)
        _report(console, create_pack(parts, self.out, console.note))
        return OK


def _report(console: Console, created: "CreatedPack") -> None:
    """Folder of a pack that was made, what it can and cannot do, and how it is used."""
    from cfclip.packs import capabilities_of

    pack = created.pack
    able = capabilities_of(pack.manifest)
    for warning in created.warnings:
        console.warning(warning)
    content = {
        "pack": str(pack.folder),
        "fingerprint": pack.fingerprint,
        **asdict(able),
        "warnings": created.warnings,
    }
    console.result(content, str(pack.folder))
    for line in able.lines():
        console.note(line)
    console.note(
        f"use it as --pack {pack.folder}, or by its name where {PACKS_VARIABLE} lists "
        f"{pack.folder.parent.resolve()}"
    )


def _description(published: PublishedGenerator) -> list[str]:
    return [
        f"{published.name}: {published.shows}",
        f"from         {published.address}",
        f"told by      {published.source}",
        f"licence      {published.licence}: {published.terms}",
        f"             {published.licence_address}",
        f"attribution  {published.attribution}",
    ]
