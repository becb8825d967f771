import json
from pathlib import Path

import numpy as np
import pytest
from golden_cases import golden

from cfclip.errors import InputError
from cfclip.photos.alignment import face_quad
from cfclip.photos.landmarks import landmarks_file, quad_of, read_quads

FOUR = [(40.0, 40.0), (60.0, 40.0), (42.0, 60.0), (58.0, 60.0)]
FIVE = [*FOUR[:2], (50.0, 51.0), *FOUR[2:]]
LARGER = [(3 * x, 3 * y) for x, y in FOUR]
EXPECTED = face_quad(*FOUR)


def lines(points: list[tuple[float, float]], between: str = " ") -> str:
    return "\n".join(f"{x}{between}{y}" for x, y in points)


def refusal(path: Path, content: str) -> str:
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_quads(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_several_photos_have_a_file_each(tmp_path: Path) -> None:
    for name in ("ada.txt", "ben.json"):
        (tmp_path / name).write_text(json.dumps(FOUR))
    assert landmarks_file(tmp_path, "photos/ada.jpg") == tmp_path / "ada.txt"
    assert landmarks_file(tmp_path, Path("ben.png")) == tmp_path / "ben.json"
    assert landmarks_file(tmp_path / "ada.txt", "eve.png") == tmp_path / "ada.txt"
    with pytest.raises(InputError, match=r"no landmarks of eve.png in .*expected eve.txt or eve"):
        landmarks_file(tmp_path, "eve.png")


@pytest.mark.parametrize("points", [FOUR, FIVE])
def test_four_and_five_points_are_the_same_face(points: list[tuple[float, float]]) -> None:
    assert quad_of(np.array(points)) == EXPECTED


def test_68_points_give_eyes_and_mouth() -> None:
    _, arrays, _ = golden("ffhq_alignment")
    points = arrays["landmarks"]
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    assert quad_of(points) == face_quad(*eyes, points[48], points[54])


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(FOUR),
        json.dumps([FOUR]),
        lines(FOUR),
        lines(FIVE, ", "),
        "# a face\n\n" + lines(FOUR, "\t") + "  # the last one\n\n",
    ],
)
def test_every_form_of_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_text(content)
    assert read_quads(tmp_path / "a") == (EXPECTED,)


@pytest.mark.parametrize(
    "content", [json.dumps([FOUR, LARGER]), lines(FOUR) + "\n\n" + lines(LARGER)]
)
def test_several_faces_come_by_size(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_text(content)
    assert read_quads(tmp_path / "a") == (face_quad(*LARGER), EXPECTED)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lines(FOUR[:3]), "3x2 numbers, expected x and y of 68, 5 or 4 points"),
        (json.dumps(FOUR[:3]), "3x2 numbers"),
        (json.dumps([1, 2, 3]), "3 numbers"),
        (json.dumps([[1, 2, 3]] * 4), "4x3 numbers"),
        (json.dumps([[1, 2], [3]]), "no landmarks"),
        ('{"face": 1}', "no landmarks"),
        ("[[1, 2], [", "is not JSON"),
        ("[" * 100_000, "nested deeper"),
        ("", "no landmarks"),
        ("# nothing\n", "no landmarks"),
        ("1 2\n3 4 5\n", "line 2 has 3 numbers, not 2"),
        ("1 2\n3 four\n", "a number of line 2 is 'four', expected"),
        ("1 2\n3 nan\n", "a number of line 2 is 'nan', expected"),
        (json.dumps([[1, 2], [3, float("nan")], [5, 6], [7, 8]]), "not finite"),
        (json.dumps([[1, 2], [3, 1e308], [5, 6], [7, 8]]), "beyond 10,000,000"),
        (json.dumps([[1, 2], [-1e8, 3], [5, 6], [7, 8]]), "beyond 10,000,000"),
        (lines([FOUR[1], FOUR[0], FOUR[3], FOUR[2]]), "those of no face"),
    ],
)
def test_other_content_is_refused_in_one_line(tmp_path: Path, content: str, why: str) -> None:
    assert why in refusal(tmp_path / "a", content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read it"):
        read_quads(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot read it"):
        read_quads(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_quads(tmp_path / "binary")
    assert "longer than 1,000,000" in refusal(tmp_path / "large", "0 " * 600_000)
