"""The adversarial stage of the generator: from z to images that a discriminator takes for real.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020): the logistic
loss, and the R1 penalty on real images (Mescheder et al. 2018) every 16th step in float32. The
regression of the stages before goes on for half as many images, so that W keeps its meaning.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.tensors import signed_from_uint8
from cfclip.training import Average, Stateful
from recipes.avatars.attribute_latents import attribute_inputs
from recipes.avatars.dataset import load_dataset
from recipes.avatars.discriminator import Discriminator
from recipes.avatars.generator_settings import GeneratorSettings
from recipes.avatars.grids import save_grid
from recipes.avatars.stage_runs import Run, cosine_lr, run_identity, set_lr, step_rng
from recipes.avatars.warm_start import WarmStart, regression_loss, save_generation

R1_WEIGHT = 1.0
"""Gamma of R1."""
R1_EVERY = 16
REGRESSION_WEIGHT = 30.0
_BETAS = (0.0, 0.99)
_AVERAGE_DECAY = 0.999
_WARM_UP = 500
"""Steps over which the generator's rate rises, while the discriminator learns what it sees."""
_GRID_EVERY = 1000
_GRID_SAMPLES = 24


def r1_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Half the squared norm of the gradient of the logits to the images, mean over the batch."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return 0.5 * gradient.square().sum((1, 2, 3)).mean()


def train_adversarial(config: GeneratorSettings, model: WarmStart) -> None:
    """Run the stage; `config.batch` images of each kind per step."""
    data = load_dataset(config.data)
    codes, rgb = attribute_inputs(data.table)
    generator = model.generator
    model.latents.requires_grad_(False)
    discriminator = Discriminator(generator.config).to(memory_format=torch.channels_last)
    # The mapping stays: its steps are differences of numbers in the hundreds, which a thousand
    # updates of a small rate put out of order (colours and shapes of samples drifted), and it
    # already draws what the natural distribution holds.
    generator.mapping_layers.requires_grad_(False)
    learning = [p for p in generator.parameters() if p.requires_grad]
    generator_optimizer = torch.optim.Adam(learning, lr=config.lr, betas=_BETAS)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=config.lr, betas=_BETAS)
    average = Average(model, _AVERAGE_DECAY)
    parts: dict[str, Stateful] = {
        "model": model, "discriminator": discriminator, "average": average,
        "generator_optimizer": generator_optimizer, "optimizer": optimizer,
    }  # fmt: skip
    folder = config.out / config.stage
    run = Run(folder, parts, config.steps, run_identity(config))
    for step in run:
        rng = step_rng(config.seed, step)
        rows = rng.integers(len(codes), size=config.batch)
        z = torch.from_numpy(rng.standard_normal((config.batch, generator.z_dim), np.float32))
        real = signed_from_uint8(torch.from_numpy(data.images[rows]))
        real = real.contiguous(memory_format=torch.channels_last)
        regressed = rows[: max(1, config.batch // 2)]
        known = model.latents(codes[regressed], rgb[regressed])
        ws = torch.cat([generator.mapping(z)[:, 0], known])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ws = ws.unsqueeze(1).expand(-1, generator.num_ws, -1)
            made = generator.synthesis(ws, noise_mode="none").float()
        fake, copies = made.split([config.batch, len(regressed)])
        shown = fake.detach().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            on_fake, on_real = discriminator(shown).float(), discriminator(real).float()
        # Both players move at once, from one look of the discriminator at the fakes.
        fooling = functional.softplus(-on_fake).mean()
        (slope,) = torch.autograd.grad(fooling, shown, retain_graph=True)
        loss = functional.softplus(on_fake).mean() + functional.softplus(-on_real).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(discriminator.parameters()))
        terms = {}
        if step % R1_EVERY == 0:
            penalty = r1_penalty(discriminator, real)
            (R1_WEIGHT * R1_EVERY * penalty).backward()
            terms["r1"] = penalty.item()
        error = copies - real[: len(regressed)]
        regression = regression_loss(error)
        generator_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([fake, REGRESSION_WEIGHT * regression], [slope, None])
        run.report(
            fooling=fooling.item(), loss=loss.item(), regression=regression.item(),
            mse=error.detach().square().mean().item(), **terms,
        )  # fmt: skip
        rate = cosine_lr(step, config.steps, config.lr, warmup=1)
        set_lr(optimizer, rate)
        set_lr(generator_optimizer, rate * min(1.0, (step + 1) / _WARM_UP))
        optimizer.step()
        generator_optimizer.step()
        average.update(model, step)
        if (step + 1) % _GRID_EVERY == 0:
            samples = fake.detach()[:_GRID_SAMPLES].clamp(-1, 1)
            save_grid([*samples.split(config.batch // 2)], folder / f"samples-{step + 1}.png")
    if run.finished:
        model.load_state_dict(average.values)
        save_generation(config.out, config.stage, model, config.seed)
