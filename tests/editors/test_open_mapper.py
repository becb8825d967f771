"""The open mapper on tiny sizes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cfclip.editors.open_mapper import (
    OpenMapper,
    OpenMapperConfig,
    load_open_mapper,
    open_mapper_metadata,
    save_open_mapper,
)
from cfclip.errors import CheckpointError, InputError
from cfclip.tensors import unit

SIZES = OpenMapperConfig(w_dim=6, text_dim=5, width=8, blocks=2)


def trained() -> OpenMapper:
    """With weights of no layer zero, as after some steps."""
    torch.manual_seed(0)
    mapper = OpenMapper(SIZES).begin_with(torch.randn(20, 6), (torch.randn(6, 5), torch.randn(6)))
    for parameter in mapper.parameters():
        nn.init.normal_(parameter, std=0.3)
    return mapper.eval().requires_grad_(False)


def inputs(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    texts = unit(torch.randn(count, 2, 5), 1e-6)
    return torch.randn(count, 6), unit(torch.randn(count, 5), 1e-6), texts, texts[0, 0]


def test_a_new_one_gives_what_the_linear_map_says_of_each_text() -> None:
    weight, bias = torch.randn(6, 5), torch.randn(6)
    mapper = OpenMapper(SIZES).begin_with(torch.randn(20, 6), (weight, bias))
    w, seen, texts, source = inputs(3)
    offset = mapper(w, seen, mapper.codes(texts, source))
    expected = (texts @ weight.T + bias).sum(1)
    torch.testing.assert_close(offset, expected)
    without = OpenMapper(SIZES).begin_with(torch.randn(20, 6))
    assert torch.equal(without(w, seen, without.codes(texts, source)), torch.zeros(3, 6))


def test_images_do_not_depend_on_each_other_and_may_share_a_text() -> None:
    mapper = trained()
    w, seen, texts, source = inputs(4)
    codes = mapper.codes(texts, source)
    together = mapper(w, seen, codes)
    for row in range(4):
        alone = mapper(w[row : row + 1], seen[row : row + 1], codes[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone)
    shared = mapper(w, seen, codes[:1])
    torch.testing.assert_close(shared, mapper(w, seen, codes[:1].expand(4, -1)))


def test_latent_picture_and_text_all_make_a_difference() -> None:
    mapper = trained()
    w, seen, texts, source = inputs(2)
    codes = mapper.codes(texts, source)
    given = (w[:1], seen[:1], codes[:1])
    first = mapper(*given)
    for place, other in enumerate((w[1:], seen[1:], codes[1:])):
        changed = (*given[:place], other, *given[place + 1 :])
        assert not torch.allclose(mapper(*changed), first, atol=1e-3)


def test_the_length_of_a_text_counts() -> None:
    mapper = trained()
    w, seen, texts, source = inputs(1)
    weak = mapper.codes(source + 0.1 * (texts - source), source)
    strong = mapper.codes(texts, source)
    assert not torch.allclose(mapper(w, seen, weak), mapper(w, seen, strong), atol=1e-3)


def test_files(tmp_path: Path) -> None:
    mapper, file = trained(), tmp_path / "open.safetensors"
    save_open_mapper(mapper, file, {"pack": "tiny"})
    assert open_mapper_metadata(file) == {"pack": "tiny"}
    loaded = load_open_mapper(file)
    assert loaded.config == SIZES
    w, seen, texts, source = inputs(2)
    expected = mapper(w, seen, mapper.codes(texts, source))
    assert torch.equal(loaded(w, seen, loaded.codes(texts, source)), expected)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(CheckpointError):
        load_open_mapper(file)


def test_other_shapes_are_refused() -> None:
    mapper = trained()
    w, seen, texts, source = inputs(3)
    codes = mapper.codes(texts, source)
    for given in ((w[:, :4], seen, codes), (w, seen[:, :4], codes), (w, seen, codes[:2])):
        with pytest.raises(InputError, match="have widths"):
            mapper(*given)
    with pytest.raises(InputError, match="blocks is 0"):
        OpenMapperConfig(w_dim=1, text_dim=1, blocks=0)
