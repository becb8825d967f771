"""A certificate made on the spot, and the authority above it, to sign pictures with."""

import datetime
from pathlib import Path

import pytest

pytest.importorskip("cryptography")  # of the c2pa extra: this module is also looked at for doctests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER = "Ada Tester"

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def write_certificate(folder: Path, key: Key | None = None) -> tuple[Path, Path]:
    """Write the chain and the key of a new certificate; returns their files."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    key = key or ec.generate_private_key(ec.SECP256R1())
    chain = [
        _certificate(SIGNER, key, root_key, authority=False),
        _certificate("Authority", root_key, root_key, authority=True),
    ]
    folder.mkdir(exist_ok=True)
    certificate_file, key_file = folder / "chain.pem", folder / "key.pem"
    certificate_file.write_bytes(
        b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
    )
    # The form that openssl writes for EC keys, which is not the one that signing wants.
    form = serialization.PrivateFormat.PKCS8
    if isinstance(key, ec.EllipticCurvePrivateKey):
        form = serialization.PrivateFormat.TraditionalOpenSSL
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return certificate_file, key_file


def _certificate(
    name: str, key: Key, issuer: ec.EllipticCurvePrivateKey, authority: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("Authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )
    if authority:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    else:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
