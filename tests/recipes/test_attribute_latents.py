import torch

from cfclip_benchmark.avatars import COLOURS, SHAPES, sample_table
from recipes.avatars.attribute_latents import AttributeLatents, attribute_inputs


def test_inputs_of_a_table() -> None:
    table = sample_table(5, "natural", 0)
    codes, rgb = attribute_inputs(table.take(slice(0, 3)))
    assert codes.dtype == torch.int64
    assert tuple(rgb.shape) == (3, len(COLOURS), 3)
    assert codes[1].tolist() == [
        values.index(getattr(table.record(1), name)) for name, values in SHAPES.items()
    ]
    expected = torch.tensor(table.record(1).skin_colour) / 127.5 - 1.0
    torch.testing.assert_close(rgb[1, list(COLOURS).index("skin_colour")], expected)


def test_w_is_linear_in_each_colour_and_additive_in_attributes() -> None:
    torch.manual_seed(0)
    latents = AttributeLatents(8).double()
    codes = torch.zeros(1, len(SHAPES), dtype=torch.int64)
    first, second = torch.randn(2, 1, len(COLOURS), 3, dtype=torch.float64)
    with torch.no_grad():
        start, end = latents(codes, first), latents(codes, second)
        # On the line and beyond its ends, into colours that nothing showed.
        for share in (0.25, 1.0, 3.0):
            between = latents(codes, first + share * (second - first))
            torch.testing.assert_close(between, start + share * (end - start))
        other = codes.clone()
        other[0, 2] = 4
        moved = latents(other, first) - start
        torch.testing.assert_close(latents(other, second) - end, moved)
        rows = torch.cat([codes, other])
        both = latents(rows, torch.cat([first, second]))
        torch.testing.assert_close(both[1:], latents(other, second))
