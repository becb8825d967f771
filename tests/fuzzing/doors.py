"""The files of the scene with the commands that open them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from fuzzing.scene import TEXT

_FORMS = {
    **{".json": "json", ".jsonl": "jsonl", ".toml": "toml", ".csv": "csv"},
    **{".txt": "lines", ".pem": "lines"},
    **dict.fromkeys((".png", ".jpg", ".webp", ".tiff", ".gif", ".bmp", ".avif"), "picture"),
}
_SHARES = {
    **{"bench": 0.2, "tune": 0.2, "train": 0.4, "batch": 0.4, "edit": 0.6, "rerun": 0.6},
    **{"convert": 2.0, "inspect": 2.0},
}


@dataclass(frozen=True)
class Door:
    """Files, and a command that opens them."""

    victims: str
    """Pattern of the files, from the scene's folder; one of them is spoilt."""
    command: str
    """Words of the command line, run where everything of the scene lies; `VICTIM` is the file."""
    copied: tuple[str, ...] = ()
    """Files and folders that the command writes to, or wants to be no links."""
    seals: str = ""
    """A pack whose hash of the file is written anew, as whoever makes a hostile pack does."""

    @property
    def share(self) -> float:
        """How often it is tried, against others."""
        return share_of(self.command)

    def arguments(self, victim: PurePath) -> list[str]:
        """The command line with one of the files."""
        words = {"VICTIM": str(victim), "TEXT": TEXT}
        return [words.get(word, word) for word in self.command.split()]


def share_of(command: str) -> float:
    """How often a command is tried, against others: less where it takes long."""
    if command.startswith("packs create"):
        return 0.4
    return _SHARES.get(command.split()[0], 1.0)


def form_of(victim: PurePath) -> str:
    """The grammar that a file is spoilt by: "bytes" for one of none that is known here."""
    return _FORMS.get(victim.suffix, "bytes")


def _doors(
    table: Iterable[tuple[str, Iterable[str]]], copied: str = "", seals: str = ""
) -> list[Door]:
    """The doors of patterns with their commands."""
    return [
        Door(victims, command, tuple(copied.split()), seals)
        for victims, commands in table
        for command in commands
    ]


_OUT = "--pack tiny --out out"
_EDIT = f"{_OUT} --steps 1 --augmentations 1 --projection.steps 0"
_INVERT = f"{_OUT} --projection.steps 0"
_FEW_STEPS = "--batch 2 --validate-every 1 --validation 2 --samples 6 --checkpoint-seconds 0.001"
_TRAIN = f"train --text TEXT --augmentations 1 {_FEW_STEPS} --pack tiny"
_TRAINED = f"{_TRAIN} --steps 1 --projection.steps 0 --out out"
_RESUMED = f"{_TRAIN} --steps 2 --projection.steps 1"
_CREATE = "packs create --name made --source-text face --out out"
_GENERATOR = "--generator weights/generators/own.safetensors"
_SMALL = "--generator domain/generator.safetensors"
_FIT = "fit-text-map captioned --pack tiny --out fitted.safetensors --projection.steps 0"
_BATCH = "--pack tiny --text TEXT --mapper mapper --workers 1 --projection.steps 0"
_FEW = "--pack tiny --quick --images 1 --prompts prompts.toml"
_BENCH = f"bench {_FEW} --judge-clip tiny/clip"
_METHOD = "--methods cfclip-optimisation"
_TUNE = f"tune {_FEW} {_METHOD} --trials 1"
_SHARDS = "--to webdataset --shard-rows 2"

WEIGHTS: list[Door] = [
    *_doors(
        {
            "weights/generators/*": (
                "convert VICTIM out.safetensors --licence mine",
                "convert VICTIM out.safetensors --licence yours",
                f"{_CREATE} --generator VICTIM --clip clip",
            ),
            "weights/encoders/*": (
                f"{_CREATE} --generator wide.safetensors --clip clip --encoder VICTIM",
            ),
            "domain/clip.pt": (f"{_CREATE} {_SMALL} --clip VICTIM",),
            "huggingface/model.safetensors": (f"{_CREATE} {_SMALL} --clip huggingface",),
            "weights/identity.pth": (
                f"edit sample:1 TEXT {_EDIT} --identity-network VICTIM",
                f"{_TRAINED} --identity 1 --identity-network VICTIM",
                f"{_CREATE} {_GENERATOR} --clip clip --identity VICTIM",
            ),
            "weights/vgg.pth": (f"{_TRAINED} --perceptual 1 --perceptual-network VICTIM",),
            "weights/mappers/*": (f"apply VICTIM sample:1 --text TEXT {_INVERT}",) * 2,
            "mapper/best.safetensors": (
                f"apply mapper sample:1 --text TEXT {_INVERT}",
                f"{_TRAINED} --start mapper",
            ),
            "map.safetensors": (f"edit sample:1 TEXT {_EDIT} --start text-map --text-map VICTIM",),
            "channels.safetensors": (
                "grid strengths sample:1 --text TEXT --pack tiny --out out.png "
                "--files styleclip-global=channels.safetensors",
            ),
            "latents/*": (
                f"{_TRAINED} --latents VICTIM",
                f"edit VICTIM TEXT {_EDIT}",
                f"apply mapper VICTIM --text TEXT {_INVERT}",
            ),
        }.items()
    ),
    *_doors(
        [
            ("tiny/*.safetensors", [f"edit faces/sample-0.png TEXT {_EDIT} --start text-map"] * 3),
            ("tiny/parts.safetensors", [f"edit sample:1 TEXT {_EDIT} --region parts"]),
            ("tiny/parts.safetensors", ["parts sample:1 --pack tiny --out out"]),
            ("tiny/clip/open_clip_model.safetensors", [f"edit sample:1 TEXT {_EDIT}"]),
            ("tiny/clip/bpe_merges.txt.gz", [f"edit sample:1 TEXT {_EDIT}"]),
            ("tiny/encoder.safetensors", [f"{_CREATE} {_GENERATOR} --clip clip --encoder VICTIM"]),
        ],
        copied="tiny",
        seals="tiny",
    ),
    *_doors([("clip/*[sz]", [f"{_CREATE} {_GENERATOR} --clip clip"] * 2)], copied="clip"),
    *_doors([("run/checkpoint.pt", [f"{_RESUMED} --out run --resume"])], copied="run"),
    *_doors([("shard.tar", [f"batch shard.tar {_BATCH} --out out"])], copied="shard.tar"),
]
"""Files of weights and other binary ones."""

TEXTS: list[Door] = [
    *_doors(
        {
            "tiny/pack.toml": (
                *("packs show tiny", "packs list", "edit --pack tiny --help", f"sample {_OUT}"),
                *(f"edit sample:1 TEXT {_EDIT}", _TRAINED),
            )
        }.items(),
        copied="tiny",
    ),
    *_doors(
        [
            ("tiny/clip/open_clip_config.json", [f"edit sample:1 TEXT {_EDIT}"] * 2),
            ("tiny/vocabulary.txt", ["packs show tiny"]),
        ],
        copied="tiny",
        seals="tiny",
    ),
    *_doors([("clip/*.json", [f"{_CREATE} {_GENERATOR} --clip clip"] * 2)], copied="clip"),
    *_doors([("huggingface/*.json", [f"{_CREATE} {_SMALL} --clip huggingface"] * 2)]),
    *_doors(
        [("edit/*.json", ["rerun VICTIM --out out"] * 3 + ["rerun VICTIM --pack tiny --out out"])]
    ),
    *_doors(
        [
            ("map_inversions/*.json", [f"{_FIT} --inversions map_inversions"]),
            ("captioned/captions.jsonl", [f"{_FIT} --inversions map_inversions"]),
        ],
        copied="map_inversions captioned",
    ),
    *_doors(
        [
            (
                "run-of-pictures/inversions/*.json",
                [f"{_RESUMED} --out out --latents faces --inversions run-of-pictures/inversions"],
            )
        ],
        copied="run-of-pictures",
    ),
    *_doors(
        [("list.*", [f"batch VICTIM {_BATCH} --out out"] * 3)], copied="list.csv list.jsonl faces"
    ),
    *_doors([("batch/*.json*", [f"batch samples.csv {_BATCH} --out batch"] * 3)], copied="batch"),
    *_doors(
        [
            (
                "batch-of-shards/*.json*",
                [f"batch samples.csv {_BATCH} --out batch-of-shards {_SHARDS}"] * 2,
            )
        ],
        copied="batch-of-shards",
    ),
    *_doors(
        {
            "landmarks.*": (f"invert faces/sample-0.png {_INVERT} --landmarks VICTIM",) * 2,
            "texts.txt": (f"{_TRAINED} --texts VICTIM",),
            "variants.toml": (f"{_BENCH} --variants VICTIM --out out",),
            "prompts.toml": (f"{_BENCH} {_METHOD} --out out", f"{_TUNE} --out out"),
            "tuned/cfclip-optimisation.json": (f"{_BENCH} {_METHOD} --tuned tuned --out out",),
            "certificate/chain.pem": (
                f"sample {_OUT} --c2pa-certificate VICTIM --c2pa-key certificate/key.pem",
            ),
        }.items()
    ),
    *_doors([("run/log.jsonl", ["grid curves run --out out.png"])], copied="run"),
    *_doors([("bench/*.json*", [f"{_BENCH} {_METHOD} --out bench --resume"] * 2)], copied="bench"),
    *_doors([("tuned/*.json*", [f"{_TUNE} --out tuned --resume"] * 3)], copied="tuned"),
    *_doors(
        [
            (
                "downloads/*.json",
                [
                    "packs download ffhq --accept-licence --downloads downloads --clip clip "
                    "--out out"
                ],
            )
        ],
        copied="downloads",
    ),
]
"""Files of text."""

PICTURES: list[Door] = [
    *_doors(
        {
            "pictures/*": (
                "inspect VICTIM",
                "inspect VICTIM --json",
                f"edit VICTIM TEXT {_EDIT}",
                f"edit sample:1 TEXT {_EDIT} --mask VICTIM",
                f"invert VICTIM {_INVERT}",
                f"invert VICTIM {_INVERT} --landmarks landmarks.txt",
                "grid contact VICTIM sample:1 --pack tiny --out out.png",
            )
            * 4
        }.items()
    ),
    *_doors(
        {
            "faces/sample-1.png": (
                f"batch faces {_BATCH} --out out",
                f"apply mapper faces --text TEXT {_INVERT}",
            )
        }.items(),
        copied="faces",
    ),
    *_doors([("captioned/images/3.png", [_FIT])], copied="captioned"),
]
"""Pictures."""
