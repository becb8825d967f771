"""`cfclip packs`: list and show; the actions that make packs are in `make_pack`."""

from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Annotated, TypeAlias

import tyro

from cfclip.apps.make_pack import PacksCreate, PacksDownload
from cfclip.apps.options import FAILED, OK, Output
from cfclip.errors import PackError
from cfclip.packs import MANIFEST_FILE, available_packs, read_manifest, resolve

_MEGABYTE = 1e6
_WIDTH = 100
"""Characters of the lines that words fill."""


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
        from cfclip.packs import Pack, capabilities_of

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
            *_words(pack.vocabulary),
            *(
                f"default      {kind}.{key} = {value}"
                for kind, table in asdict(manifest.defaults).items()
                for key, value in table.items()
            ),
            *(f"file         {size / _MEGABYTE:7.2f} MB  {name}" for name, size in sizes.items()),
            *able.lines(),
        ]
        for heading, text in manifest.card.items():
            lines += ["", heading, *text.strip().split("\n")]
        self.console.result(content, *lines)
        return OK


def _words(vocabulary: frozenset[str] | None) -> list[str]:
    if vocabulary is None:
        return ["words        any"]
    text = f"{len(vocabulary)}: {', '.join(sorted(vocabulary))}"
    return wrap(text, _WIDTH, initial_indent="words        ", subsequent_indent=" " * 13)


PacksAction: TypeAlias = (
    Annotated[PacksList, tyro.conf.subcommand("list")]
    | Annotated[PacksShow, tyro.conf.subcommand("show")]
    | Annotated[PacksCreate, tyro.conf.subcommand("create")]
    | Annotated[PacksDownload, tyro.conf.subcommand("download")]
)


@dataclass(frozen=True)
class Packs:
    """List the model packs, tell all about one, or make one."""

    action: PacksAction

    def run(self) -> int:
        """Run the chosen action."""
        return self.action.run()
