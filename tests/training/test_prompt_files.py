"""Prompts from a file and from the command line."""

from pathlib import Path

import pytest

from cfclip.errors import InputError
from cfclip.training import gather_prompts


def test_texts_come_before_the_lines_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffblue  skin \r\n\r\n  \ngreen lipstick\n".encode())
    found = gather_prompts(["green hair"], file)
    assert found.prompts == ("green hair", "blue skin", "green lipstick")
    assert found.warnings == ()


def test_repetitions_are_told_and_used_once(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("green hair\nblue skin\nblue   skin\n")
    found = gather_prompts(["green hair"], file)
    assert found.prompts == ("green hair", "blue skin")
    assert found.warnings == (
        "the prompt 'green hair' and 1 more was given more than once; it is used once",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"", "no prompt in"),
        (b"\n \n", "no prompt in"),
        (b"\xff\xfe", "not UTF-8"),
        (b"green hair\na\x07b\n", "prompts.txt:2: the prompt contains the control character"),
        (b"x" * 2000, "prompts.txt:1: the prompt has 2000 characters"),
    ],
)
def test_unusable_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        gather_prompts([], file)
    assert "\n" not in str(caught.value)


def test_no_prompt_at_all() -> None:
    with pytest.raises(InputError, match="no prompt; describe the edit"):
        gather_prompts([])
