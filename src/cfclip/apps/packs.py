"""`cfclip packs`: list, show, create."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import tyro

from cfclip.apps.options import FAILED, OK, Output
from cfclip.errors import PackError
from cfclip.packs.manifest import MANIFEST_FILE, read_manifest
from cfclip.packs.registry import PACKS_VARIABLE, available_packs, resolve

if TYPE_CHECKING:
    from cfclip.apps.console import Console
    from cfclip.packs.capabilities import Capabilities
    from cfclip.packs.creation import CreatedPack

DEFAULT_CLIP = "ViT-B-32-quickgelu:openai"
"""The CLIP of the papers on StyleGAN2 with text: StyleCLIP, StyleGAN-NADA, CF-CLIP."""
_MEGABYTE = 1e6


@dataclass(frozen=True)
class PacksList(Output):
    """List the packs that can be used by name."""

    def run(self) -> int:
        """One line per pack; an error for each that cannot be read."""
        console = self.console
        packs = available_packs()
        status = OK
        for name, folder in packs.items():
            try:
                manifest = read_manifest(folder / MANIFEST_FILE)
            except PackError as error:
                console.error(str(error))
                status = FAILED
                continue
            content = {
                "name": name,
                "version": manifest.version,
                "resolution": manifest.resolution,
                "licence": manifest.licence,
                "folder": str(folder),
            }
            console.result(
                content,
                f"{name}  {manifest.version}  {manifest.resolution} px  {manifest.licence}  "
                f"{folder}",
            )
        if not packs:
            console.note("no packs; name folders of packs in CFCLIP_PACKS")
        return status


@dataclass(frozen=True)
class PacksShow(Output):
    """Tell all about one pack, after checking every byte of it."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PACK")]
    """Name or folder of a pack."""

    def run(self) -> int:
        """Its description, defaults, files and model card."""
        from cfclip.packs.capabilities import capabilities_of
        from cfclip.packs.pack import Pack

        pack = Pack.open(resolve(self.name))
        manifest = pack.manifest
        sizes = {name: (pack.folder / name).stat().st_size for name in manifest.files}
        able = capabilities_of(manifest)
        content = {
            **asdict(manifest),
            "folder": str(pack.folder),
            "fingerprint": pack.fingerprint,
            **asdict(able),
        }
        lines = [
            f"{manifest.name} {manifest.version}, {manifest.resolution} px, {manifest.licence}",
            f"folder       {pack.folder}",
            f"fingerprint  {pack.fingerprint}",
            f"origin       {manifest.origin}",
            f"attribution  {manifest.attribution or 'none'}",
            f"source text  {manifest.source_text}",
            f"unrealistic  {manifest.unrealistic_text}",
            f"templates    {len(manifest.templates)}, such as {manifest.templates[0]!r}",
            f"words        {'any' if pack.vocabulary is None else _words(pack.vocabulary)}",
            *(
                f"default      {kind}.{key} = {value}"
                for kind, table in asdict(manifest.defaults).items()
                for key, value in table.items()
            ),
            *(f"file         {size / _MEGABYTE:7.2f} MB  {name}" for name, size in sizes.items()),
            *_capability_lines(able),
            *(f"\n{heading}\n{text.strip()}" for heading, text in manifest.card.items()),
        ]
        self.console.result(content, "\n".join(lines))
        return OK


@dataclass(frozen=True)
class PacksCreate(Output):
    """Make a pack of models that were trained elsewhere.

    The models are opened by their content; docs/YOUR-OWN-DOMAIN.md walks through it. The pack is
    then used by its folder (--pack OUT/NAME), or by its name where CFCLIP_PACKS lists OUT.
    """

    name: str
    """Of the pack: lower-case letters, digits and hyphens."""

    generator: Path
    """StyleGAN2: a file of NVIDIA's (.pkl), rosinality's (.pt) or cfclip's (.safetensors)."""

    source_text: str
    """What any picture of the generator shows, such as "dog"."""

    clip: str = DEFAULT_CLIP
    """CLIP: MODEL:TAG of open_clip, MODEL:FILE, hf-hub:OWNER/NAME, a folder, or a .pt archive of
    OpenAI's."""

    encoder: Path | None = None
    """Encoder for this generator: pSp or e4e (.pt), or cfclip's (.safetensors)."""

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
        from cfclip.packs.creation import UNREALISTIC_TEXT, UNSTATED, PackParts, create_pack

        parts = PackParts(
            name=self.name,
            generator=self.generator,
            clip=self.clip,
            source_text=self.source_text,
            encoder=self.encoder,
            identity=self.identity,
            unrealistic_text=self.unrealistic_text or UNREALISTIC_TEXT,
            licence=self.licence or UNSTATED,
            attribution=self.attribution,
        )
        tell_created(self.console, create_pack(parts, self.out, self.console.note))
        return OK


def tell_created(console: "Console", created: "CreatedPack") -> None:
    """Folder of a pack that was made, what it can and cannot do, and how it is used."""
    from cfclip.packs.capabilities import capabilities_of

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
    for line in _capability_lines(able):
        console.note(line)
    console.note(
        f"use it as --pack {pack.folder}, or by its name where {PACKS_VARIABLE} lists "
        f"{pack.folder.parent.resolve()}"
    )


def _capability_lines(able: "Capabilities") -> list[str]:
    return [f"can          {line}" for line in able.can] + [
        f"cannot       {line}" for line in able.cannot
    ]


def _words(vocabulary: frozenset[str]) -> str:
    return f"{len(vocabulary)}: {', '.join(sorted(vocabulary))}"


PacksAction: TypeAlias = (
    Annotated[PacksList, tyro.conf.subcommand("list")]
    | Annotated[PacksShow, tyro.conf.subcommand("show")]
    | Annotated[PacksCreate, tyro.conf.subcommand("create")]
)


@dataclass(frozen=True)
class Packs:
    """List the model packs, tell all about one, or make one."""

    action: PacksAction

    def run(self) -> int:
        """Run the chosen action."""
        return self.action.run()
