"""Well-formed files of every kind that a command opens, made by the real code on tiny models."""

import json
import os
import shutil
from argparse import Namespace
from pathlib import Path

from PIL import Image

from fuzzing.command import succeed

_QUICK_EDIT = ("--steps", "1", "--augmentations", "1", "--projection.steps", "1")
_QUICK_TRAINING = (
    *("--steps", "2", "--batch", "2", "--validate-every", "1", "--validation", "2"),
    *("--samples", "6", "--augmentations", "1", "--projection.steps", "1"),
)
TEXT = "green hair"


def build_scene(place: Path) -> None:
    """Fill the folder `place`, which is made. Works in it: paths in its files are relative."""
    place.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(place)
    try:
        _packs()
        _weights()
        _pictures()
        _latents()
        _work()
        _benchmarks()
    finally:
        os.chdir(before)


def _packs() -> None:
    from domain_files import write_domain
    from tiny_pack import write_tiny_pack

    write_tiny_pack(Path("tiny"))
    succeed("fit-parts", "tiny", "--images", "16")
    Path("domain").mkdir()
    write_domain(Path("domain"))
    from clip_origins import openai_tensors, write_huggingface

    write_huggingface(Path("huggingface"), openai_tensors())
    _long_clip()


def _long_clip() -> None:
    """The pack's CLIP with a context long enough for the templates of packs that are created."""
    import torch

    from cfclip.embedders import build_clip_model, save_clip

    shutil.copytree("tiny/clip", "clip")
    told = json.loads(Path("clip/open_clip_config.json").read_text())
    told["model_cfg"]["text_cfg"]["context_length"] = 77
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_clip_model(told["model_cfg"])
    save_clip(model, told["model_cfg"], told["preprocess_cfg"], Path("clip"))


def _weights() -> None:
    """Files of weights in every form, in weights/."""
    import torch
    from foreign_files import good_files
    from hostile_files import SPARSE_BYTES, hostile_files
    from network_files import write_identity
    from own_certificate import write_certificate
    from tiny_jobs import write_mapper

    from cfclip.editing import Session
    from cfclip.editors import LatentMapper, TextMapper
    from cfclip.editors.mapper_config import LatentMapperConfig, TextMapperConfig
    from cfclip.editors.mapper_layouts import _released_name
    from cfclip.encoders import StyleEncoder, StyleEncoderConfig
    from cfclip.features.vgg import VGG19Features
    from cfclip.generators import StyleGAN2, StyleGAN2Config, save_generator

    folder = Path("weights")
    for kind in ("generators", "encoders", "mappers"):
        (folder / kind).mkdir(parents=True)
    session = Session.open("tiny")
    generator, width = session.generator, session.embedder.dim
    for name, data in good_files(generator).items():
        (folder / "generators" / name).write_bytes(data)
    hostile = Path("hostile")
    hostile.mkdir()
    for name, data in hostile_files(Path("mark"), generator).items():
        (hostile / name).write_bytes(data)
        if name.startswith("sparse"):
            os.truncate(hostile / name, SPARSE_BYTES)
    write_identity(folder / "identity.pth")
    write_certificate(Path("certificate"))
    write_mapper(Path("mapper"), Path("tiny"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(VGG19Features(4, caffe=True).convolutions.state_dict(), folder / "vgg.pth")
        size = {"num_ws": generator.num_ws, "w_dim": generator.w_dim, "legacy_pixel_norm": True}
        mappers = {
            "cfclip.pt": TextMapper(TextMapperConfig(**size, text_dim=width, text_layout="all")),
            "styleclip.pt": LatentMapper(LatentMapperConfig(**size)),
        }
        for name, mapper in mappers.items():
            state = {_released_name(key): value for key, value in mapper.state_dict().items()}
            torch.save(
                {"state_dict": state, "opts": {"description": TEXT}}, folder / "mappers" / name
            )
        # Encoders of this kind are as wide as codes of at least 128 numbers.
        shape = StyleGAN2Config(16, z_dim=16, w_dim=128, mapping_layers=2, channels=(16, 16, 8))
        wide = StyleGAN2(shape)
        save_generator(wide, Path("wide.safetensors"))
        for kind, options in {
            "e4e": {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True},
            "psp": {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True},
        }.items():
            encoder = StyleEncoder(StyleEncoderConfig(kind, wide.num_ws, width=16))
            state = {
                f"encoder.{name}": value
                for name, value in encoder.state_dict().items()
                if name != "latent_avg"
            }
            average = wide.w_avg.repeat(wide.num_ws, 1)
            content = {"state_dict": state, "latent_avg": average, "opts": Namespace(**options)}
            torch.save(content, folder / "encoders" / f"{kind}.pt")


def _pictures() -> None:
    """Pictures in every form, in pictures/, and those of one folder in faces/."""
    from PIL import PngImagePlugin

    succeed("sample", "--pack", "tiny", "--count", "3", "--out", "faces")
    for sheet in Path("faces").glob("samples-*"):
        sheet.unlink()
    files = ("certificate/chain.pem", "certificate/key.pem")
    certificate = ("--c2pa-certificate", files[0], "--c2pa-key", files[1])
    succeed("sample", "--pack", "tiny", "--seed", "9", "--out", "signed", *certificate)
    folder = Path("pictures")
    folder.mkdir()
    shutil.copy("signed/sample-9.png", folder / "signed.png")
    shutil.copy("faces/sample-0.png", folder / "marked.png")
    with Image.open("faces/sample-0.png") as opened:
        picture = opened.convert("RGB").resize((40, 32))
    profile = _profile()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>1</a></x:xmpmeta>'
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", "a comment" * 20, zip=True)
    chunks.add_itxt("Title", "a title", zip=True)
    picture.save(folder / "a.png", pnginfo=chunks, exif=exif, icc_profile=profile)
    picture.save(folder / "a.jpg", exif=exif, icc_profile=profile, xmp=xmp)
    picture.save(folder / "a.webp", exif=exif, icc_profile=profile, xmp=xmp)
    picture.save(folder / "a.tiff", exif=exif, icc_profile=profile, compression="tiff_lzw")
    picture.save(folder / "a.gif", save_all=True, append_images=[picture.rotate(90)])
    picture.save(folder / "a.bmp")
    picture.save(folder / "a.avif", exif=exif, icc_profile=profile, xmp=xmp)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("P").save(folder / "palette.png")
    picture.convert("I;16").save(folder / "deep.png")
    Path("landmarks.txt").write_text("10 10\n22 10\n12 20\n20 20\n")
    Path("landmarks.json").write_text("[[10, 10], [22, 10], [12, 20], [20, 20]]")


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _latents() -> None:
    """Latents of the pack in every form, in latents/."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from cfclip.editing import Session

    folder = Path("latents")
    folder.mkdir()
    generator = Session.open("tiny").generator
    z = torch.randn(4, generator.z_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        latents = generator.mapping(z).contiguous()
    torch.save(latents, folder / "a.pt")
    torch.save({"a.png": latents[0], "b.png": latents[1]}, folder / "named.pt")
    torch.save(
        latents[:, :1].contiguous(), folder / "legacy.pt", _use_new_zipfile_serialization=False
    )
    save_file({"latents": latents}, folder / "a.safetensors")
    np.save(folder / "a.npy", latents.numpy())
    np.savez(folder / "a.npz", w=latents[:, 0].numpy())
    np.savez_compressed(folder / "packed.npz", w=latents.numpy())


def _work() -> None:
    """What commands write and read again: records, inversions, trainings, batches."""
    from captioned import write_captioned_folder

    out = ("--pack", "tiny", "--out")
    succeed("edit", "faces/sample-0.png", TEXT, *out, "edit", *_QUICK_EDIT)
    succeed("edit", "sample:3", TEXT, *out, "edit", *_QUICK_EDIT)
    mask = ("--mask", "faces/sample-1.png", "--tuning.steps", "1")
    succeed("edit", "faces/sample-2.png", TEXT, *out, "edit", *_QUICK_EDIT, *mask)
    succeed("invert", "faces/sample-0.png", *out, "inverted", "--projection.steps", "1")
    write_captioned_folder(Path("captioned"), Path("tiny"), count=24, edits=4)
    succeed("fit-text-map", "captioned", *out, "map.safetensors", "--projection.steps", "0")
    channels = ("--images", "2", "--batch", "40")
    succeed("fit-global-directions", *out, "channels.safetensors", *channels)
    succeed("train", *out, "run", "--text", TEXT, *_QUICK_TRAINING)
    pictures = ("--latents", "faces")
    succeed("train", *out, "run-of-pictures", "--text", TEXT, *_QUICK_TRAINING, *pictures)
    Path("texts.txt").write_text(f"{TEXT}\nblue skin\n")
    Path("list.csv").write_text(
        "image,text,strength,seed,name\nfaces/sample-0.png,green hair,1,0,a\n"
        "faces/sample-1.png,blue skin,0.5,3,\nsample:4,,,,\n"
    )
    rows = [
        {"image": "faces/sample-0.png", "text": TEXT, "strength": 1, "seed": 0, "name": "a"},
        {"image": "sample:4", "text": "blue skin"},
    ]
    Path("list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("samples.csv").write_text("image,text,strength,seed,name\nsample:4,,,,\nsample:5,,2,1,b\n")
    _shard(Path("shard.tar"))
    work = ("--mapper", "mapper", "--workers", "1", "--projection.steps", "0")
    succeed("batch", "samples.csv", *out, "batch", "--text", TEXT, *work)
    shards = ("--to", "webdataset", "--shard-rows", "2")
    succeed("batch", "samples.csv", *out, "batch-of-shards", "--text", TEXT, *work, *shards)

    _download()


def _download() -> None:
    """What is kept of a download that was broken off."""
    folder = Path("downloads")
    folder.mkdir()
    (folder / "ffhq.pkl.part").write_bytes(bytes(1000))
    address = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/ffhq.pkl"
    note = {"address": address, "total": 1000, "validator": None}
    (folder / "ffhq.pkl.part.json").write_text(json.dumps(note))
    pin = {"sha256": "0" * 64, "address": address, "first_used": "2026-01-01"}
    (folder / "pins.json").write_text(json.dumps({"ffhq.pkl": pin}))


def _shard(path: Path) -> None:
    import io
    import tarfile

    entries = {
        "a.png": Path("faces/sample-0.png").read_bytes(),
        "a.txt": b"green hair",
        "b.png": Path("faces/sample-1.png").read_bytes(),
        "b.json": b'{"text": "blue skin", "strength": 0.5}',
    }
    with tarfile.open(path, "w") as archive:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _benchmarks() -> None:
    """Benchmarks of one method and their prompts; they need the bench extra."""
    from few_prompts import PROMPTS

    Path("prompts.toml").write_text(PROMPTS)
    Path("variants.toml").write_text(
        '[[variant]]\nname = "few"\nmethod = "cfclip-optimisation"\nsettings = { steps = 1 }\n'
    )
    quick = ("--pack", "tiny", "--prompts", "prompts.toml", "--quick", "--images", "1")
    one = ("--methods", "cfclip-optimisation")
    succeed("bench", *quick, *one, "--out", "bench", "--judge-clip", "tiny/clip")
    succeed("tune", *quick, *one, "--out", "tuned", "--trials", "1")
