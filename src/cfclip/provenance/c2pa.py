"""Content credentials (C2PA): signing a picture with the user's certificate, reading a signature.

The signature covers the whole file, and so its XMP too, which has the details. The library is the
optional `c2pa` extra. Nothing goes over a network: no time stamp is asked for, and manifests that a
file only points to are not fetched.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from cfclip.errors import InputError, failing_to, reason_of
from cfclip.io import FormatError, field_of, parse_json
from cfclip.provenance.stamping import GENERATED, Provenance

_PNG = "image/png"
_LARGEST_KEY_BYTES = 1_000_000
_ALGORITHMS_OF_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
"""Curve of an EC key to the C2PA name of its signatures."""
_CREATED = "c2pa.created"
"""C2PA specification, actions: the asset was made, here by models, not opened and changed."""

_OFFLINE = {
    "builder": {"thumbnail": {"enabled": False}},  # the picture is small already
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}

_GENERATOR = ("name", "version")
_GOOD_STATES = ("Valid", "Trusted")
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Credentials:
    """What the signature in a picture says."""

    intact: bool
    """Whether the file is as it was signed."""
    trusted: bool
    """Whether the certificate leads to one that the library trusts."""
    name: str
    """Common name of the certificate: who signed."""
    issuer: str
    """Organisation that the certificate names."""
    generator: str
    """Program that made the manifest."""
    problems: tuple[str, ...]
    """What does not hold, by the codes of the C2PA specification."""


class PictureSigner:
    """Signs PNG files with a certificate and its key.

    Args:
        certificate: PEM file of the certificate, followed by those that lead to its root.
        key: PEM file of the private key, without a password: EC (P-256, P-384, P-521), Ed25519 or
            RSA.

    Raises:
        InputError: the extra is not installed, a file cannot be used, or the key is that of another
            certificate; found by a trial, so that no work is lost to it later.
    """

    def __init__(self, certificate: str | Path, key: str | Path) -> None:
        _library()
        self._certificate = _read(certificate, "certificate")
        self._key, self._algorithm = _private_key(key)
        self._names = f"certificate {certificate} with key {key}"
        trial = io.BytesIO()
        Image.new("RGB", (1, 1)).save(trial, format="PNG")
        self.sign(trial.getvalue(), Provenance(GENERATED))

    def sign(self, png: bytes, provenance: Provenance) -> bytes:
        """The PNG file with a signed manifest in it; its pixels and texts stay as they are."""
        c2pa = _library()
        signed = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(self._algorithm, self._certificate, self._key, None)
            context = c2pa.Context.from_dict(_OFFLINE)
            builder = c2pa.Builder(json.dumps(_manifest(provenance)), context)
            with c2pa.Signer.from_info(info) as signer, builder:
                builder.sign(signer, _PNG, io.BytesIO(png), signed)
        except c2pa.C2paError as error:
            raise InputError(
                f"cannot sign with {self._names}: {error}; give a certificate for signing documents"
                " or e-mail (extended key usage), the chain above it, and its key"
            ) from error
        return signed.getvalue()


def credentials_available() -> bool:
    """Whether the library that signs and reads is installed."""
    try:
        _library()
    except InputError:
        return False
    return True


def read_credentials(path: str | Path) -> Credentials | None:
    """What the signature in a picture file says; None if there is none.

    Raises `InputError` if the extra is not installed, or the file or its manifest cannot be read.
    """
    c2pa = _library()
    try:
        with open(path, "rb") as stream:
            context = c2pa.Context.from_dict(_OFFLINE)
            reader = c2pa.Reader.try_create(None, stream, None, context)
            return None if reader is None else _credentials(parse_json(reader.json()))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except c2pa.C2paError.NotSupported:  # a format that cannot hold any, as BMP
        return None
    except (c2pa.C2paError, ValueError, FormatError) as error:
        raise InputError(
            f"the content credentials in {path} are damaged: {reason_of(error)}"
        ) from error


def _credentials(store: object) -> Credentials:
    """What the library tells of a file in JSON; names and codes in it are the file's own."""
    manifests = field_of(store, "manifests", Mapping[str, Any], {})
    manifest = manifests.get(field_of(store, "active_manifest", str, ""), {})
    signature = field_of(manifest, "signature_info", Mapping[str, Any], {})
    generators = field_of(manifest, "claim_generator_info", tuple[Any, ...], ())
    generator = [field_of(generators[0] if generators else {}, n, str, "") for n in _GENERATOR]
    status = field_of(store, "validation_status", tuple[Any, ...], ())
    problems = {field_of(each, "code", str) for each in status}
    state = field_of(store, "validation_state", str, "")
    return Credentials(
        intact=state in _GOOD_STATES,
        trusted=state == _GOOD_STATES[-1],
        name=field_of(signature, "common_name", str, ""),
        issuer=field_of(signature, "issuer", str, ""),
        generator=" ".join(filter(None, generator)),
        problems=tuple(sorted(problems - {_UNTRUSTED})),
    )


def _manifest(provenance: Provenance) -> dict[str, Any]:
    agent = {"name": provenance.tool, "version": provenance.version}
    action = {
        "action": _CREATED,
        "softwareAgent": agent,
        "digitalSourceType": provenance.source_type,
    }
    return {
        "claim_generator_info": [agent],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }


def _library() -> Any:
    try:
        return import_module("c2pa")
    except (ImportError, OSError) as error:  # OSError: its native part does not load here
        raise InputError(
            f"content credentials need the c2pa extra ({error}); pip install 'cfclip[c2pa]'"
        ) from error


def _read(path: str | Path, what: str) -> bytes:
    with failing_to(f"read the {what} {path}", "", ValueError):
        if not Path(path).is_file():  # a pipe or a device may never end
            raise InputError(f"cannot read the {what} {path}: there is no such file")
        with open(path, "rb") as stream:
            content = stream.read(_LARGEST_KEY_BYTES + 1)
    if len(content) > _LARGEST_KEY_BYTES or b"-----BEGIN" not in content:
        raise InputError(f"{path} is not a {what} in PEM form; give the .pem file of one")
    return content


def _private_key(path: str | Path) -> tuple[bytes, str]:
    """A key in the form that the library reads, and the name of its signatures."""
    content = _read(path, "private key")
    # Of the extra's own requirements.
    serialization = import_module("cryptography.hazmat.primitives.serialization")
    asymmetric = "cryptography.hazmat.primitives.asymmetric"
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError as error:
        raise InputError(f"{path} has a password; give the key without one") from error
    except Exception as error:  # unknown curves and forms come as several kinds
        raise InputError(f"{path} is not a private key in PEM form ({error})") from error
    if isinstance(key, import_module(f"{asymmetric}.ec").EllipticCurvePrivateKey):
        algorithm = _ALGORITHMS_OF_CURVES.get(key.curve.name, "")
    elif isinstance(key, import_module(f"{asymmetric}.ed25519").Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(key, import_module(f"{asymmetric}.rsa").RSAPrivateKey):
        algorithm = "ps256"
    else:
        algorithm = ""
    if not algorithm:
        raise InputError(
            f"{path} holds a key that C2PA has no signature for; give an EC key (P-256, P-384, "
            "P-521), Ed25519 or RSA"
        )
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return plain, algorithm
