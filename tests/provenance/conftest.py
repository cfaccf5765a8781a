"""Content credentials made for the tests: a root, a signer, signed pictures."""

import datetime
import io
import json

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def _certificate(name, key, issuer, issuing_key, *, root):
    def named(common):
        parts = ((NameOID.ORGANIZATION_NAME, "Makers of tests"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])

    usage = {
        **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
        **dict.fromkeys(("encipher_only", "decipher_only"), False),
    }
    start = datetime.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key.public_key()), critical=False)
    )
    if not root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def signed():
    """Sign an image file's bytes as made by a generator or, of an earlier version signed before, as edited."""
    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = _certificate("Signer", own, "Root", root, root=False) + _certificate("Root", root, "Root", root, root=True)
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def sign(data, kind, *, edited=False, actions=None, assertions=(), ingredients=(), generator="Easel", extra=None):
        """Sign a file; ingredients are pairs of a description and an image file's bytes."""
        created = {
            "action": "c2pa.created",
            "digitalSourceType": GENERATED,
            "softwareAgent": {"name": "Painter", "version": "3"},
        }
        manifest = {
            "claim_generator_info": [{"name": generator, "version": "1"}],
            "assertions": [
                {
                    "label": "c2pa.actions.v2",
                    "data": {
                        "actions": actions or [{"action": "c2pa.cropped"} if edited else created],
                        **(extra or {}),
                    },
                },
                *assertions,
            ],
        }
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, private, None))
        result = io.BytesIO()
        with c2pa.Builder(json.dumps(manifest)) as builder:
            if edited:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            for described, content in ingredients:
                builder.add_ingredient(json.dumps(described), "image/jpeg", io.BytesIO(content))
            builder.sign(signer, kind, io.BytesIO(data), result)
        return result.getvalue()

    return sign
