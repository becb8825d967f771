"""Content credentials, with a certificate made on the spot: signed, read back, tampered with."""

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cfclip.apps.cli import main
from cfclip.errors import InputError
from cfclip.images import read_xmp
from cfclip.provenance import (
    COMPOSED,
    GENERATED,
    Marking,
    Provenance,
    inspect_picture,
    write_picture,
)
from cfclip.provenance.c2pa import PictureSigner, read_credentials

pytest.importorskip("c2pa")
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448
from own_certificate import SIGNER, Key, write_certificate

STATEMENT = Provenance(COMPOSED, ("green hair",), "tiny", "1", "a" * 64, 3)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_a_signed_picture_says_so_and_keeps_its_pixels(
    tmp_path: Path, picture: Image.Image, certificate: tuple[Path, Path]
) -> None:
    path = tmp_path / "a.png"
    write_picture(picture, path, STATEMENT, Marking(signer=PictureSigner(*certificate)))
    found = inspect_picture(path)
    assert found.provenance == STATEMENT
    assert found.credentials is not None
    assert found.credentials.intact
    assert not found.credentials.trusted  # nobody else knows this certificate
    assert (found.credentials.name, found.credentials.issuer) == (SIGNER, "Tests")
    assert found.credentials.generator.startswith("cfclip ")
    assert found.credentials.problems == ()
    with Image.open(path) as written:
        assert written.tobytes() == picture.tobytes()


def test_the_manifest_states_the_source_type_and_nothing_of_files(
    tmp_path: Path, picture: Image.Image, certificate: tuple[Path, Path]
) -> None:
    import c2pa

    path = tmp_path / "a_secret_name.png"
    write_picture(picture, path, STATEMENT, Marking(signer=PictureSigner(*certificate)))
    with c2pa.Reader("image/png", io.BytesIO(path.read_bytes())) as reader:
        told = reader.json()
        manifest = reader.get_active_manifest()
    assert "secret" not in told
    assert manifest is not None
    (action,) = manifest["assertions"][0]["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", COMPOSED)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "Ed25519", "RSA"],
)
def test_other_kinds_of_keys(tmp_path: Path, picture: Image.Image, key: Key) -> None:
    signer = PictureSigner(*write_certificate(tmp_path / "certificate", key))
    write_picture(picture, tmp_path / "a.png", Provenance(GENERATED), Marking(signer=signer))
    found = read_credentials(tmp_path / "a.png")
    assert found is not None
    assert found.intact


def replace_in_chunk(path: Path, old: bytes, new: bytes) -> None:
    """Change the first PNG chunk that holds `old`, as one who knows the format would."""
    png = path.read_bytes()
    start = 8
    while True:
        (length,) = struct.unpack(">I", png[start : start + 4])
        chunk = png[start + 4 : start + 8 + length]
        if old in chunk:
            break
        start += 12 + length
    changed = chunk.replace(old, new)
    crc = struct.pack(">I", zlib.crc32(changed))
    path.write_bytes(png[: start + 4] + changed + crc + png[start + 12 + length :])


def test_a_changed_prompt_is_found_out(
    tmp_path: Path, picture: Image.Image, certificate: tuple[Path, Path]
) -> None:
    path = tmp_path / "a.png"
    write_picture(picture, path, STATEMENT, Marking(signer=PictureSigner(*certificate)))
    replace_in_chunk(path, b"green", b"brown")
    found = read_credentials(path)
    assert found is not None
    assert not found.intact
    assert "assertion.dataHash.mismatch" in found.problems


def test_a_picture_without_a_signature(tmp_path: Path, picture: Image.Image) -> None:
    for name in ("a.png", "a.bmp", "a.jpg", "a.gif", "a.webp", "a.tiff"):
        picture.save(tmp_path / name)
        assert read_credentials(tmp_path / name) is None


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_files_that_are_no_certificate_or_key(
    tmp_path: Path, certificate: tuple[Path, Path], content: bytes
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    for pair in ((bad, certificate[1]), (certificate[0], bad)):
        with pytest.raises(InputError) as caught:
            PictureSigner(*pair)
        assert "bad.pem" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read the private key"):
        PictureSigner(certificate[0], tmp_path / "none.pem")


def test_keys_that_cannot_sign(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    def written(key: Key | x448.X448PrivateKey, password: bytes = b"") -> Path:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password)
        path = tmp_path / "key.pem"
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(pem, form, encryption))
        return path

    curve = ec.SECP256R1()
    with pytest.raises(InputError, match="has a password"):
        PictureSigner(certificate[0], written(ec.generate_private_key(curve), b"x"))
    with pytest.raises(InputError, match="no signature for"):
        PictureSigner(certificate[0], written(x448.X448PrivateKey.generate()))
    with pytest.raises(InputError, match="no signature for"):
        PictureSigner(certificate[0], written(ec.generate_private_key(ec.SECP256K1())))
    with pytest.raises(InputError, match="cannot sign with"):  # of another certificate
        PictureSigner(certificate[0], written(ec.generate_private_key(curve)))


def test_a_signature_without_metadata_is_a_contradiction(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="ask for one of them"):
        Marking(metadata=False, signer=PictureSigner(*certificate))


def test_the_command_line_signs(
    tmp_path: Path,
    tiny_pack: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    signing = ["--c2pa-certificate", str(certificate[0]), "--c2pa-key", str(certificate[1])]
    edit = ["edit", "sample:1", "green hair", "--pack", "tiny", "--out"]
    assert main([*edit, str(tmp_path / "signed"), *signing]) == 0
    assert main([*edit, str(tmp_path / "plain")]) == 0
    capsys.readouterr()
    for signed in sorted((tmp_path / "signed").glob("*.png")):
        assert main(["inspect", str(signed), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["credentials"]["intact"] is True
        assert told["provenance"]["prompts"] == ["green hair"]
        plain = tmp_path / "plain" / signed.name
        assert read_xmp(signed) == read_xmp(plain)
        with Image.open(signed) as one, Image.open(plain) as other:
            assert one.tobytes() == other.tobytes()
    # The record is the promise: a signed edit is made again like any other.
    record = tmp_path / "signed" / "sample-1_green-hair.json"
    assert main(["rerun", str(record), "--out", str(tmp_path / "again")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(signed)]) == 0
    assert f"by {SIGNER} (Tests)" in capsys.readouterr().out
    replace_in_chunk(signed, b"green", b"brown")
    assert main(["inspect", str(signed)]) == 2
    captured = capsys.readouterr()
    assert "the file was changed since" in captured.out
    assert captured.err.count("\n") == 1
    out, pipe = str(tmp_path / "none"), str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for options, why in (
        (signing[:2], "give both"),
        ([*signing, "--no-metadata"], "ask for one of them"),
        ([signing[0], out, *signing[2:]], "cannot read the certificate"),
        ([signing[0], pipe, *signing[2:]], "cannot read the certificate"),
        ([*signing[:3], pipe], "cannot read the private key"),
    ):
        assert main([*edit, out, *options]) == 2
        captured = capsys.readouterr()
        assert why in captured.err
        assert captured.err.count("\n") == 1
        assert list(Path(out).glob("*")) == []
