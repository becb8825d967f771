"""The files of the scene with the commands that open them."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fuzzing.scene import TEXT

Form: TypeAlias = Literal["bytes", "json", "jsonl", "toml", "csv", "lines", "picture"]


@dataclass(frozen=True)
class Door:
    """A file, and a command that opens it."""

    victim: str
    """The file, from the scene's folder."""
    form: Form
    command: str
    """Words of the command line; run where everything of the scene lies."""
    copied: tuple[str, ...] = ()
    """Files and folders that the command writes to, or wants to be no links."""
    seals: str = ""
    """A pack whose hash of the file is written anew, as whoever makes a hostile pack does."""

    @property
    def share(self) -> float:
        """How often it is tried, against others: less where the command takes long."""
        return _SHARES.get(self.command.split()[0], 1.0)

    @property
    def arguments(self) -> list[str]:
        """The command line."""
        return [_TEXT_WORD.get(word, word) for word in self.command.split()]


_SHARES = {"bench": 0.3, "tune": 0.3, "packs": 0.6, "train": 0.6, "batch": 0.6}
_TEXT_WORD = {"TEXT": TEXT}
_OUT = "--pack tiny --out out"
_QUICK = "--steps 1 --augmentations 1 --projection.steps 0"
_EDIT = f"{_OUT} {_QUICK}"
_APPLY = f"{_OUT} --projection.steps 0"
_TRAIN = (
    f"--text TEXT {_QUICK} --batch 2 --validate-every 1 --validation 2 --samples 6 "
    "--checkpoint-seconds 0.001"
)
_RESUMED = _TRAIN.replace("--steps 1", "--steps 2").replace("steps 0", "steps 1")
_CREATE = "packs create --name made --source-text face --out out --generator"
_FIT = "fit-text-map captioned --pack tiny --out fitted.safetensors --projection.steps 0"
_BATCH = "--pack tiny --text TEXT --mapper mapper --workers 1 --projection.steps 0"
_FEW = "--pack tiny --quick --images 1"
_BENCH = f"{_FEW} --methods cfclip-optimisation"
_PROMPTS = "--prompts prompts.toml"
_JUDGE = "--judge-clip tiny/clip"


def _of(victim: str, form: Form, *commands: str, copied: str = "", seals: str = "") -> list[Door]:
    return [Door(victim, form, each, tuple(copied.split()), seals) for each in commands]


def _generators() -> list[Door]:
    found = []
    for name in ("nvidia.pkl", "rosinality.pt", "legacy.pt", "decoder.pt", "own.safetensors"):
        file = f"weights/{name}"
        convert = f"convert {file} out.safetensors --licence mine"
        found += _of(file, "bytes", convert, convert, f"{_CREATE} {file} --clip clip")
    return found


WEIGHTS: list[Door] = [
    *_generators(),
    *(
        door
        for name in ("psp.pt", "e4e.pt")
        for door in _of(
            f"weights/{name}",
            "bytes",
            f"{_CREATE} weights/own.safetensors --clip clip --encoder weights/{name}",
        )
    ),
    *_of(
        "domain/clip.pt",
        "bytes",
        f"{_CREATE} domain/generator.safetensors --clip domain/clip.pt",
    ),
    *_of(
        "huggingface/model.safetensors",
        "bytes",
        f"{_CREATE} domain/generator.safetensors --clip huggingface",
    ),
    *_of(
        "weights/identity.pth",
        "bytes",
        f"edit sample:1 TEXT {_EDIT} --identity-network weights/identity.pth",
        f"train {_TRAIN} {_OUT} --identity 1 --identity-network weights/identity.pth",
        f"{_CREATE} weights/own.safetensors --clip clip --identity weights/identity.pth",
    ),
    *_of(
        "weights/vgg.pth",
        "bytes",
        f"train {_TRAIN} {_OUT} --perceptual 1 --perceptual-network weights/vgg.pth",
    ),
    *(
        door
        for name in ("weights/cfclip.pt", "weights/styleclip.pt", "mapper/best.safetensors")
        for door in _of(name, "bytes", f"apply {name} sample:1 {_APPLY} --text TEXT")
    ),
    *_of("mapper/best.safetensors", "bytes", f"train {_TRAIN} {_OUT} --start mapper"),
    *_of(
        "map.safetensors",
        "bytes",
        f"edit sample:1 TEXT {_EDIT} --start text-map --text-map map.safetensors",
    ),
    *_of(
        "channels.safetensors",
        "bytes",
        "grid strengths sample:1 --text TEXT --pack tiny --out out.png "
        "--files styleclip-global=channels.safetensors",
    ),
    *(
        door
        for name in ("generator", "encoder", "linear_text_map", "clip/open_clip_model")
        for door in _of(
            f"tiny/{name}.safetensors",
            "bytes",
            f"edit faces/sample-0.png TEXT {_EDIT} --start text-map",
            copied="tiny",
            seals="tiny",
        )
    ),
    *_of(
        "tiny/encoder.safetensors",
        "bytes",
        f"{_CREATE} weights/own.safetensors --clip clip --encoder tiny/encoder.safetensors",
        copied="tiny",
    ),
    *(
        door
        for name in ("open_clip_model.safetensors", "bpe_merges.txt.gz")
        for door in _of(
            f"clip/{name}", "bytes", f"{_CREATE} weights/own.safetensors --clip clip", copied="clip"
        )
    ),
    *_of(
        "run/checkpoint.pt",
        "bytes",
        f"train {_RESUMED} --pack tiny --out run --resume",
        copied="run",
    ),
    *(
        door
        for name in (
            "a.pt",
            "named.pt",
            "legacy.pt",
            "a.npy",
            "a.npz",
            "packed.npz",
            "a.safetensors",
        )
        for door in _of(
            f"latents/{name}",
            "bytes",
            f"train {_TRAIN} {_OUT} --latents latents/{name}",
            f"edit latents/{name} TEXT {_EDIT}",
            f"apply mapper latents/{name} {_APPLY} --text TEXT",
        )
    ),
    *_of("shard.tar", "bytes", f"batch shard.tar {_BATCH} --out out", copied="shard.tar"),
    *_of(
        "tiny/clip/bpe_merges.txt.gz",
        "bytes",
        f"edit sample:1 TEXT {_EDIT}",
        copied="tiny",
        seals="tiny",
    ),
]
"""Files of weights and other binary ones."""

TEXTS: list[Door] = [
    *_of(
        "tiny/pack.toml",
        "toml",
        "packs show tiny",
        "packs list",
        f"edit sample:1 TEXT {_EDIT}",
        f"sample {_OUT}",
        "edit --pack tiny --help",
        f"train {_TRAIN} {_OUT}",
        copied="tiny",
    ),
    *_of(
        "tiny/clip/open_clip_config.json",
        "json",
        f"edit sample:1 TEXT {_EDIT}",
        copied="tiny",
        seals="tiny",
    ),
    *_of(
        "clip/open_clip_config.json",
        "json",
        f"{_CREATE} weights/own.safetensors --clip clip",
        copied="clip",
    ),
    *_of("tiny/vocabulary.txt", "lines", "packs show tiny", copied="tiny", seals="tiny"),
    *(
        door
        for name in ("config", "preprocessor_config")
        for door in _of(
            f"huggingface/{name}.json",
            "json",
            f"{_CREATE} domain/generator.safetensors --clip huggingface",
        )
    ),
    *(
        door
        for name in ("sample-0", "sample-2", "sample-3")
        for door in _of(
            f"edit/{name}_green-hair.json",
            "json",
            f"rerun edit/{name}_green-hair.json --out out",
            f"rerun edit/{name}_green-hair.json --pack tiny --out out",
        )
    ),
    *_of(
        "map_inversions/*.json",
        "json",
        f"{_FIT} --inversions map_inversions",
        copied="map_inversions captioned",
    ),
    *_of(
        "captioned/captions.jsonl",
        "jsonl",
        f"{_FIT} --inversions map_inversions",
        copied="map_inversions captioned",
    ),
    *_of(
        "run-of-pictures/inversions/*.json",
        "json",
        f"train {_RESUMED} {_OUT} --latents faces --inversions run-of-pictures/inversions",
        copied="run-of-pictures",
    ),
    *_of("list.csv", "csv", f"batch list.csv {_BATCH} --out out", copied="list.csv faces"),
    *_of("list.jsonl", "jsonl", f"batch list.jsonl {_BATCH} --out out", copied="list.jsonl faces"),
    *(
        door
        for name in ("batch", "batch-of-shards")
        for file, form in (
            ("batch.json", "json"),
            ("rows.jsonl", "jsonl"),
            ("results.jsonl", "jsonl"),
        )
        for door in _of(
            f"{name}/{file}",
            form,  # type: ignore[arg-type]  # one of the forms, as written here
            f"batch samples.csv {_BATCH} --out {name}"
            + ("" if name == "batch" else " --to webdataset --shard-rows 2"),
            copied=name,
        )
    ),
    *(
        door
        for suffix in ("txt", "json")
        for door in _of(
            f"landmarks.{suffix}",
            "lines" if suffix == "txt" else "json",
            f"invert faces/sample-0.png {_APPLY} --landmarks landmarks.{suffix}",
        )
    ),
    *_of("texts.txt", "lines", f"train {_TRAIN} {_OUT} --texts texts.txt"),
    *_of("run/log.jsonl", "jsonl", "grid curves run --out out.png", copied="run"),
    *_of(
        "variants.toml",
        "toml",
        f"bench {_FEW} {_PROMPTS} {_JUDGE} --variants variants.toml --out out",
    ),
    *_of(
        "prompts.toml",
        "toml",
        f"bench {_BENCH} {_PROMPTS} {_JUDGE} --out out",
        f"tune {_BENCH} {_PROMPTS} --trials 1 --out out",
    ),
    *(
        door
        for file, form in (("bench.json", "json"), ("rows.jsonl", "jsonl"))
        for door in _of(
            f"bench/{file}",
            form,  # type: ignore[arg-type]
            f"bench {_BENCH} {_PROMPTS} {_JUDGE} --out bench --resume",
            copied="bench",
        )
    ),
    *(
        door
        for file, form in (
            ("bench.json", "json"),
            ("rows.jsonl", "jsonl"),
            ("trials.jsonl", "jsonl"),
        )
        for door in _of(
            f"tuned/{file}",
            form,  # type: ignore[arg-type]
            f"tune {_BENCH} {_PROMPTS} --trials 1 --out tuned --resume",
            copied="tuned",
        )
    ),
    *_of(
        "tuned/cfclip-optimisation.json",
        "json",
        f"bench {_BENCH} {_PROMPTS} {_JUDGE} --tuned tuned --out out",
    ),
    *(
        door
        for file in ("ffhq.pkl.part.json", "pins.json")
        for door in _of(
            f"downloads/{file}",
            "json",
            "packs download ffhq --accept-licence --downloads downloads --clip clip --out out",
            copied="downloads",
        )
    ),
    *_of(
        "certificate/chain.pem",
        "lines",
        f"sample {_OUT} --c2pa-certificate certificate/chain.pem --c2pa-key certificate/key.pem",
    ),
]
"""Files of text."""

_OPENED = ("a.png", "a.jpg", "a.webp", "a.tiff", "a.gif", "a.bmp", "a.avif", "cmyk.jpg")
PICTURES: list[Door] = [
    *(
        door
        for name in (*_OPENED, "palette.png", "deep.png", "signed.png", "marked.png")
        for door in _of(
            f"pictures/{name}",
            "picture",
            f"inspect pictures/{name}",
            f"inspect pictures/{name} --json",
            f"edit pictures/{name} TEXT {_EDIT}",
            f"invert pictures/{name} {_APPLY}",
            f"grid contact pictures/{name} sample:1 --pack tiny --out out.png",
            f"edit sample:1 TEXT {_EDIT} --mask pictures/{name}",
            f"invert pictures/{name} {_APPLY} --landmarks landmarks.txt",
        )
    ),
    *_of("faces/sample-1.png", "picture", f"batch faces {_BATCH} --out out", copied="faces"),
    *_of(
        "faces/sample-1.png", "picture", f"apply mapper faces {_APPLY} --text TEXT", copied="faces"
    ),
    *_of("captioned/images/3.png", "picture", _FIT, copied="captioned"),
]
"""Pictures."""
