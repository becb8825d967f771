"""docs/YOUR-OWN-DOMAIN.md: its claims are the code's."""

import re
import shlex
import tomllib
from pathlib import Path

from cfclip.apps.cli import parse
from cfclip.apps.make_pack import DEFAULT_CLIP, PacksDownload
from cfclip.apps.packs import Packs
from cfclip.editing import Session, edit_settings
from cfclip.packs.downloads import PINS_FILE
from cfclip.packs.published import PUBLISHED

PAGE = (Path(__file__).parents[2] / "docs" / "YOUR-OWN-DOMAIN.md").read_text()


def test_its_settings_become_defaults(tiny_pack_copy: Path) -> None:
    (settings,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    manifest = tiny_pack_copy / "pack.toml"
    text = re.sub(r"^\[defaults.edit\]\n(?:\w.*\n)+", "", manifest.read_text(), flags=re.MULTILINE)
    manifest.write_text(f"{text}\n{settings}")
    chosen = edit_settings(Session.open(tiny_pack_copy).pack.manifest)
    wanted = tomllib.loads(settings)["defaults"]["edit"]
    assert {name: getattr(chosen, name) for name in wanted} == wanted


def test_what_it_says_about_downloads() -> None:
    (command,) = re.findall(r"^cfclip packs download .*$", PAGE, re.MULTILINE)
    parsed = parse(shlex.split(command)[1:])
    assert isinstance(parsed, Packs)
    assert isinstance(parsed.action, PacksDownload)
    assert parsed.action.accept_licence
    rows = re.findall(r"^\| (`[a-z, `]+`) \| .* px \|", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z]+", row)} == set(PUBLISHED)
    assert {each.licence_address for each in PUBLISHED.values()} == {
        *re.findall(r"https://\S+license\.html", PAGE)
    }
    assert all(each.source.split()[0] in PAGE for each in PUBLISHED.values())
    assert PINS_FILE in PAGE
    assert f"`{DEFAULT_CLIP}` | MODEL:TAG" in PAGE
