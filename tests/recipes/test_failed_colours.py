"""Failed edits sorted by who sees the asked colour, on rendered pictures with the shipped CLIPs."""

from pathlib import Path
from typing import Any

from benchmark_rows import row

from cfclip.images import write_png
from cfclip.packs import Pack
from cfclip.tensors import pil_from_signed
from cfclip_benchmark import BenchmarkFolder
from cfclip_benchmark.avatars import AvatarEdit, Case, draw_avatars, pictures, read_prompts
from recipes.avatars.failed_colours import failed_colours_table

(GREEN_HAIR,) = (each for each in read_prompts().test if each.prompt == "green hair")


def about(edit: AvatarEdit) -> dict[str, Any]:
    return {"methods": {}, "prompts": {edit.prompt: [edit.family, dict(edit.words)]}}


def test_both_clips_see_a_rendered_answer_and_neither_sees_the_source(tmp_path: Path) -> None:
    folder = BenchmarkFolder(tmp_path)
    folder.claim(about(GREEN_HAIR), resume=False)
    cases = [
        Case(GREEN_HAIR, number, record) for number, record in enumerate(draw_avatars("test", 2))
    ]
    shown = {
        "answer": [case.truths(64)[:1] for case in cases],
        "nothing": [pictures([case.record], 64) for case in cases],
    }
    for method, images in shown.items():
        for case, image in zip(cases, images, strict=True):
            (picture,) = pil_from_signed(image)
            path = folder.picture(method, case.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(picture, path)
    failed = [row(method, case.avatar, exact=False) for method in shown for case in cases]
    rows = [row("oracle", 0, exact=False), *failed, row("answer", 2, exact=True)]
    table = failed_colours_table(folder, rows, Pack.open("avatars")).splitlines()
    assert table[2:] == ["| answer | 3 | 2 | 0 | 0 | 2 |", "| nothing | 2 | 2 | 2 | 0 | 0 |"]


def test_a_pack_that_names_no_colours(tiny_pack: Path, tmp_path: Path) -> None:
    folder = BenchmarkFolder(tmp_path)
    folder.claim(about(GREEN_HAIR), resume=False)
    assert failed_colours_table(folder, [], Pack.open(tiny_pack)) == ""
