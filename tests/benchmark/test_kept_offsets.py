"""An edit that was kept is rendered as it was."""

from dataclasses import replace

import pytest
import torch
from tiny_models import sample_latents, tiny_generator

from cfclip.editors import SPACES, BatchEdit, Confinement
from cfclip.io import FormatError
from cfclip_benchmark import KeptOffset

LAYERS = (1, 2, 4)


def edit_in(name: str, size: float = 0.5) -> BatchEdit:
    """An edit of two pictures at strength 2."""
    generator = tiny_generator()
    space = SPACES[name](generator, sample_latents(generator, 2), LAYERS)
    draws = torch.Generator().manual_seed(3)
    zero = space.zero_offset()
    offset = size * torch.randn(zero.shape, generator=draws)
    return BatchEdit(
        confinement=Confinement(space),
        offset=offset,
        strength=2.0,
        images=space.render(2.0 * offset),
        history=({}, {}),
        steps=(1, 1),
        stop_reasons=("completed", "completed"),
        seconds=0.0,
    )


@pytest.mark.parametrize("name", SPACES)
def test_a_kept_edit_is_rendered_as_it_was(name: str) -> None:
    edit = edit_in(name)
    kept = KeptOffset.of(edit, 1)
    assert kept is not None
    assert (kept.space, kept.layers, kept.strength) == (name, LAYERS, 2.0)
    generator, latents = edit.space.generator, edit.source_latents[1:]
    # Three digits of an offset are far less than a grey level, which is 1 / 127.5.
    torch.testing.assert_close(kept.render(generator, latents), edit.images[1:], atol=4e-3, rtol=0)
    torch.testing.assert_close(
        kept.render(generator, latents, 0.5), edit.row_at_strength(1, 1.0), atol=4e-3, rtol=0
    )
    torch.testing.assert_close(kept.render(generator, latents, 0.0), generator.synthesis(latents))


def test_latents_are_reached_from_others() -> None:
    generator = tiny_generator()
    source, other = sample_latents(generator, 2).split(1)
    kept = KeptOffset.between(source, other)
    assert kept is not None
    torch.testing.assert_close(
        kept.render(generator, source), generator.synthesis(other), atol=4e-3, rtol=0
    )


def test_what_does_not_tell_all_is_not_kept() -> None:
    edit = edit_in("w")
    masked = Confinement(edit.space, mask=torch.ones(2, 1, 16, 16))
    assert KeptOffset.of(replace(edit, confinement=masked), 0) is None
    assert KeptOffset.of(edit_in("w", size=1e6), 0) is None
    assert KeptOffset.of(edit_in("w", size=float("nan")), 0) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"space": "z"}, "offset is in space 'z', known are w, w_plus, style_space"),
        ({"values": "?"}, "offset is no base64 of float16"),
        ({"values": "AAA="}, "offset has 1 values, expected 16 that are finite"),
        ({"values": "AAAA"}, "offset is no base64 of float16"),
        ({"values": "AHwAfAB8AHwAfAB8AHwAfAB8AHwAfAB8AHwAfAB8AHw="}, "expected 16 that are finite"),
    ],
)
def test_a_damaged_offset_is_refused(change: dict[str, str], problem: str) -> None:
    edit = edit_in("w")
    kept = KeptOffset.of(edit, 0)
    assert kept is not None
    with pytest.raises(FormatError, match=problem):
        replace(kept, **change).render(edit.space.generator, edit.source_latents[:1])
