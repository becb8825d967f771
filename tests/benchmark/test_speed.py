"""What is counted and measured of a piece of work, on tiny models in this process."""

import pytest
import torch
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.generators import StyleGAN2Config
from cfclip.generators.modulated_conv import fir_filter, modulated_conv
from cfclip_benchmark.speed import WORKS, Plan, Rates
from cfclip_benchmark.speed.operations import OperationCounter
from cfclip_benchmark.speed.random_models import generator_sizes, random_generator
from cfclip_benchmark.speed.speed_task import measured_rates, measured_task
from cfclip_benchmark.speed.speed_works import SpeedTask

TINY = Plan(resolution=32, width=16, clip="tiny", repeats=1)
CPU = torch.device("cpu")
CONV = 2 * (3 * 3) * 8 * 4 * (16 * 16) * 2
"""Of a batch of 2, 8 to 4 channels, 16x16 places: a multiplication with an addition is two."""


def test_a_convolution_is_counted_forward_and_backward() -> None:
    features, weight = torch.randn(2, 8, 16, 16, requires_grad=True), torch.randn(4, 8, 3, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        own = features.detach().contiguous(memory_format=layout).requires_grad_()
        with OperationCounter() as counter:
            result = functional.conv2d(own, weight, padding=1)
        assert counter.operations == CONV
        with counter:
            result.sum().backward()
        assert counter.operations == 2 * CONV


def test_half_precision_counts_the_same() -> None:
    features, weight = torch.randn(2, 8, 16, 16), torch.randn(4, 8, 3, 3)
    with OperationCounter() as counter, torch.autocast("cpu", torch.bfloat16):
        functional.conv2d(features, weight, padding=1)
    assert counter.operations == CONV


@pytest.mark.parametrize("upsampling", [False, True])
def test_our_own_backward_is_counted(upsampling: bool) -> None:
    features = torch.randn(2, 8, 16, 16, requires_grad=True)
    style, scale = torch.randn(2, 8), torch.rand(2, 4) + 0.5
    side = 32 if upsampling else 16
    with OperationCounter() as counter:
        result = modulated_conv(
            features,
            style,
            scale,
            torch.randn(4, 8, 3, 3),
            torch.randn(4),
            torch.randn(1, 1, side, side),
            0.2,
            fir_filter() if upsampling else None,
        )
    # The filter has 4x4 taps for each channel and place.
    forward = CONV + (2 * (4 * 4) * 4 * side**2 * 2 if upsampling else 0)
    assert counter.operations == forward
    with counter:
        result.sum().backward()
    # That of the filter is a transposed one, which is counted by the places that it begins with.
    assert counter.operations == 2 * forward


def test_attention_on_a_processor_is_counted() -> None:
    batch, heads, tokens, width = 2, 4, 10, 16
    one = torch.randn(batch, heads, tokens, width, requires_grad=True)
    product = 2 * batch * heads * tokens * tokens * width
    with OperationCounter() as counter:
        mixed = functional.scaled_dot_product_attention(one, one, one)
    assert counter.operations == 2 * product
    with counter:
        mixed.sum().backward()
    assert counter.operations == (2 + 5) * product


def test_rates_of_a_machine() -> None:
    rates = measured_rates(CPU)
    assert isinstance(rates, Rates)
    assert rates.operations["float32"] > 1e8
    assert rates.torch == torch.__version__
    assert f"{torch.get_num_threads()} threads" in rates.machine


def test_sizes_are_those_of_config_f() -> None:
    assert generator_sizes(Plan()) == StyleGAN2Config(1024, (512,) * 5 + (256, 128, 64, 32))
    assert generator_sizes(TINY).channels == (16,) * 4
    with pytest.raises(InputError, match="resolution is 48"):
        generator_sizes(Plan(resolution=48))


def test_nothing_of_a_generator_is_left_out() -> None:
    generator = random_generator(TINY)
    assert all(float(conv.noise_strength) for conv in generator.convs)  # type: ignore[arg-type]
    assert torch.equal(generator.const, random_generator(TINY).const)


@pytest.mark.parametrize("work", WORKS)
def test_each_work_is_measured_in_each_way(work: str) -> None:
    before = torch.random.get_rng_state()
    found = {}
    for way in WORKS[work].ways:
        steps: list[object] = []
        found[way] = measured_task(TINY, work, way, steps.append)
        assert found[way]["operations"] > 0
        assert found[way]["seconds"] > 0
        assert len(steps) == 2 + 1 + TINY.repeats
    assert torch.equal(torch.random.get_rng_state(), before)


def test_steps_are_counted_without_what_comes_before_them() -> None:
    """An optimisation step has a synthesis, its gradient, and a look; the first render is apart."""
    with OperationCounter() as counter, torch.no_grad():
        generator = random_generator(TINY)
        generator.synthesis(generator.mapping(torch.zeros(1, generator.z_dim)))
    synthesis = measured_task(TINY, "synthesis", "exact", lambda _: None)["operations"]
    step = measured_task(TINY, "styleclip", "exact", lambda _: None)["operations"]
    four = measured_task(TINY, "synthesis-4", "exact", lambda _: None)["operations"]
    assert synthesis < counter.operations  # which has the mapping network
    assert 2 * synthesis < step
    assert 3 * synthesis < four <= 4 * synthesis


def test_work_goes_on_until_it_is_told_to_stop() -> None:
    task = SpeedTask(TINY, "optimisation", "exact")
    for wanted in (3, 1):
        seen = 0

        def watch(wanted: int = wanted) -> bool:
            nonlocal seen
            seen += 1
            return seen < wanted

        task.steps(watch)
        assert seen == wanted
