"""What each page starts from, and what is added to its commands so that they take seconds."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from clip_origins import openai_tensors, write_archive
from domain_files import centred_generator
from few_prompts import PROMPTS
from foreign_files import nvidia_pickle, nvidia_state
from network_files import write_identity
from own_certificate import write_certificate
from page_steps import ROOT
from PIL import Image
from portrait import portrait
from tiny_models import tiny_generator
from tiny_pack import RESOLUTION

from cfclip.apps.cli import main
from cfclip.features.vgg import VGG19Features
from cfclip.generators import save_generator
from cfclip.tensors import pil_from_signed
from cfclip_benchmark.avatars.attributes import TEST_SEED
from recipes.avatars.dataset import render_dataset
from recipes.avatars.train_mappers import ABLATIONS, PUBLISHED

FEW_STEPS = "--projection.steps 2"
TRAINING = (
    "--steps 2 --batch 2 --samples 8 --validation 2 --augmentations 1 --lr 0.01 "
    f"--checkpoint-seconds 60 {FEW_STEPS}"
)
TEXT_MAP = f"--solver ridge {FEW_STEPS}"


def _nothing(folder: Path) -> None:
    del folder


@dataclass(frozen=True)
class Scene:
    """How the steps of one page are run, in a folder of their own."""

    packs: tuple[str, ...] = ("avatars",)
    """Names that the tiny pack goes by."""
    prepare: Callable[[Path], None] = _nothing
    """Makes what the page says there is, in the folder, which is the working folder."""
    shorter: Mapping[str, str] = field(default_factory=dict)
    """Options added to a command, by its first words; the longest that fits is taken."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """What is put in place of pieces of the page's Python."""
    after: Callable[[Path, str], None] | None = None
    """Looks at the folder and at all that was told on stderr, at the end."""

    def options(self, command: str) -> list[str]:
        """What is added to a command."""
        fitting = [start for start in self.shorter if f"{command} ".startswith(f"{start} ")]
        return self.shorter[max(fitting, key=len)].split() if fitting else []


def _examples(folder: Path) -> None:
    shutil.copytree(ROOT / "examples" / "avatars", folder / "examples" / "avatars")


def _editing(folder: Path) -> None:
    _examples(folder)
    Image.new("L", (RESOLUTION, RESOLUTION), "white").save(folder / "mask.png")
    assert main(["fit-parts", "avatars", "--images", "16", "--quiet"]) == 0


def _responsible_use(folder: Path) -> None:
    write_certificate(folder)
    assert main(["edit", "sample:7", "a person with green hair", "--out", "out"]) == 0


def _training(folder: Path) -> None:
    _examples(folder)
    (folder / "prompts.txt").write_text("green hair\nblue skin\n")
    command = ["train", "--text", "green hair", "--out", "runs/old", *TRAINING.split()]
    assert main(command) == 0
    write_identity(folder / "model_ir_se50.pth")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        convolutions = VGG19Features(4, caffe=True).convolutions
    torch.save(convolutions.state_dict(), folder / "vgg19_conv.pth")
    render_dataset("natural", 2, TEST_SEED, folder / "data" / "natural-test", RESOLUTION)


def _prompts(folder: Path) -> None:
    (folder / "prompts.toml").write_text(PROMPTS)


def _benchmark(folder: Path) -> None:
    _prompts(folder)
    command = ["train", "--text", "green hair", "--out", "runs/mapper", *TRAINING.split()]
    assert main(command) == 0


def _results(folder: Path) -> None:
    _prompts(folder)
    # The shipped pack tells aspects apart by default, which the ablations without CLIP-NCE need,
    # whichever trial is found best.
    manifest = folder / "packs" / "avatars" / "pack.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace("[defaults.edit]\n", "[defaults.edit]\naspects = 30.0\n"))
    recipe = folder / "recipes" / "avatars"
    recipe.mkdir(parents=True)
    for file in (ROOT / "recipes" / "avatars").glob("*.toml"):
        shutil.copy(file, recipe)
    for name in ("validation", "all"):  # the tiny CLIP cannot read all of their prompts
        command = ["train", "--text", "green hair", "--out", f"runs/{name}", *TRAINING.split()]
        assert main(command) == 0
    (folder / "docs").mkdir()
    (folder / "docs" / "RESULTS.md").write_text("<!-- table bench-exact -->\n<!-- end -->\n")


def _photos(folder: Path) -> None:
    shutil.copy(portrait(), folder / "photo.jpg")


def _weights(folder: Path) -> None:
    (folder / "network.pkl").write_bytes(nvidia_pickle(nvidia_state(tiny_generator())))


def _own_domain(folder: Path) -> None:
    generator = centred_generator()
    save_generator(generator, folder / "own.safetensors")
    (folder / "own.safetensors").rename(folder / "network.pkl")  # opened by content
    write_archive(folder / "ViT-B-32.pt", openai_tensors())
    pictures = pil_from_signed(generator.synthesis(generator.w_avg.expand(2, 6, -1)))
    captions = []
    for made in ("photos", "captioned/images"):
        Path(made).mkdir(parents=True)
    for index in range(20):
        if index < 3:
            pictures[index % 2].resize((24, 20)).rotate(90 * index).save(f"photos/{index}.png")
        Image.new("RGB", (16, 16), (12 * index, 80, 90)).save(f"captioned/images/{index}.png")
        captions.append(json.dumps({"image": f"{index}.png", "text": f"a dog, number {index}"}))
    Path("captioned/captions.jsonl").write_text("\n".join(captions) + "\n")


def _own_domain_edited(folder: Path, told: str) -> None:
    assert "CLIP with QuickGELU" in told
    assert (folder / "first" / "sample-3_a-blue-dog_strip.png").is_file()
    assert (folder / "edits" / "0_a-blue-dog_x0.5.png").is_file()
    assert {path.name[0] for path in (folder / "inverted").glob("*.png")} == {"0", "1", "2"}
    assert list((folder / "mapped").glob("*.png"))
    assert list((folder / "out").glob("*.png"))


QUICK_BENCH = f"--quick --images 1 --prompts prompts.toml {FEW_STEPS}"

MAPPERS = (
    *(f"{kind}/green-hair" for kind in ("single", *PUBLISHED)),
    *(f"ablation/{name}" for name in ABLATIONS),
)
"""What is trained of the mappers of the results: enough to open every variant."""

SCENES: Mapping[str, Scene] = {
    "README.md": Scene(prepare=_examples),
    "CONTRIBUTING.md": Scene(
        prepare=_prompts,
        shorter={
            "python -m examples.gallery": "--steps 1 --prompts prompts.toml",
            "python -m examples.method_figures": "--steps 1 --only strengths.png",
        },
    ),
    "docs/AVATARS.md": Scene(
        shorter={"python -m recipes.avatars page": "--avatars 3 --threads 1 --prompts red"}
    ),
    "docs/BASELINES.md": Scene(
        shorter={"cfclip train": TRAINING, "cfclip fit-global-directions": "--images 2"}
    ),
    "docs/BENCHMARK.md": Scene(
        prepare=_benchmark,
        shorter={
            "cfclip bench": f"{QUICK_BENCH} --methods cfclip-optimisation",
            "cfclip bench --out runs/bench --images 8 --resume": f"{QUICK_BENCH} --methods "
            "cfclip-optimisation cfclip-mapper",
            "cfclip tune": f"{QUICK_BENCH} --methods cfclip-optimisation --trials 2",
        },
    ),
    "docs/EDITING.md": Scene(prepare=_editing),
    "docs/GALLERY.md": Scene(
        prepare=_prompts, shorter={"python -m examples.gallery": "--steps 1 --prompts prompts.toml"}
    ),
    "docs/METHOD.md": Scene(shorter={"python -m examples.method_figures": "--steps 2"}),
    "docs/PHOTOS.md": Scene(
        packs=("faces",),
        prepare=_photos,
        shorter={"cfclip edit": f"--steps 2 {FEW_STEPS}"},
        replaced={"steps=350": "steps=2"},
    ),
    "docs/RESPONSIBLE-USE.md": Scene(prepare=_responsible_use),
    "docs/RESULTS.md": Scene(
        prepare=_results,
        shorter={
            "python -m recipes.avatars train-mappers": f"--steps 2 --only {' '.join(MAPPERS)}",
            "cfclip fit-global-directions": "--images 1 --batch 64",
            "cfclip tune": f"{QUICK_BENCH} --trials 2",
            "cfclip bench": QUICK_BENCH,
        },
    ),
    "docs/RULER.md": Scene(
        shorter={"cfclip bench-ruler": "--images 1 --inverted 1 --projection.steps 2"}
    ),
    "docs/TRAINING.md": Scene(
        packs=("avatars", "MY-FACES", "MY-CATS"),
        prepare=_training,
        shorter={
            "cfclip train": TRAINING,
            "python -m recipes.avatars measure-training": "--avatars 2 --every 2 --threads 1 "
            "--settings steps=2 batch=2 samples=8 validation=2 augmentations=1",
        },
        replaced={"steps=500": "steps=2, batch=2, samples=8, validation=2, augmentations=1"},
    ),
    "docs/WEIGHTS.md": Scene(prepare=_weights),
    "docs/YOUR-OWN-DOMAIN.md": Scene(
        packs=(),
        prepare=_own_domain,
        shorter={
            "cfclip edit": f"--steps 2 {FEW_STEPS}",
            "cfclip invert": FEW_STEPS,
            "cfclip fit-text-map": FEW_STEPS,
            "cfclip fit-parts": "--images 16",
            "cfclip train": "--steps 2 --samples 8 --validation 4 --lr 0.01 --perceptual 0",
            "cfclip apply": FEW_STEPS,
        },
        replaced={'"a blue dog")': '"a blue dog", steps=2)'},
        after=_own_domain_edited,
    ),
}
"""By page; the others run on the tiny pack as they are."""
