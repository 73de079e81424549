"""docs/format.md: the conventions, and sections 1 and 2."""
import hashlib
import json
import os
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Damage(Exception):
    """The store is not what the page says."""


def need(condition, text):
    if not condition:
        raise Damage(text)


class Fields:
    """Reads the fields of some bytes, one after the other."""

    def __init__(self, data):
        self.data, self.at = memoryview(data), 0

    def take(self, length):
        need(length <= len(self.data) - self.at, "bytes end early")
        self.at += length
        return bytes(self.data[self.at - length:self.at])

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    u8 = lambda self: self.number("B")
    u16 = lambda self: self.number("H")
    u32 = lambda self: self.number("I")
    u64 = lambda self: self.number("Q")
    i64 = lambda self: self.number("q")

    def varint(self):
        value = 0
        for group in range(10):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * group)
            if byte < 0x80:
                need((byte or not group) and value < 1 << 64, "a varint is not the shortest")
                return value
        raise Damage("a varint has more than ten bytes")

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def blob(self):
        return self.take(self.varint())

    def zero(self, length):
        need(not any(self.take(length)), "zero fields are not zero")

    def magic(self, text):
        need(self.take(8) == text, "magic is not " + repr(text))
        version = self.u16()
        need(version == 1, f"format version {version}: this program reads version 1")

    def end(self):
        need(self.at == len(self.data), "bytes are left over")


def hkdf(key, salt, info, length=32):
    return HKDF(SHA256(), length, salt, info).derive(key)


def unseal(key, data, additional, nonce=bytes(12)):
    try:
        return AESGCM(key).decrypt(nonce, bytes(data), additional)
    except InvalidTag:
        raise Damage("a seal does not open") from None


def check_signature(public_key, data):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(data[-64:], data[:-64])
    except InvalidSignature:
        raise Damage("a signature is wrong") from None


def zigzag_time(fields):
    seconds, nanoseconds = fields.zigzag(), fields.varint()
    need(nanoseconds < 10**9, "a time has too many nanoseconds")
    return seconds * 10**9 + nanoseconds


# ---- 1. The directory

def named_files(folder):
    """hash -> bytes of the files whose names are their hashes. The folder may be missing."""
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if re.fullmatch("[0-9a-f]{64}", name):
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() == name:
                found[bytes.fromhex(name)] = data
            else:
                print(f"damaged, passed over: {folder}/{name}", file=sys.stderr)
    return found


# ---- 2. store.json

class StoreJson:
    def __init__(self, path):
        with open(os.path.join(path, "store.json"), "rb") as file:
            data = file.read()
        self.hash = hashlib.sha256(data).digest()
        parsed = json.loads(data)
        need(parsed["format_version"] == 1, f"format version {parsed['format_version']}: this program reads version 1")
        self.id = bytes.fromhex(parsed["store_id"])
        self.epoch = (bytes.fromhex(parsed["epoch"]["id"]), bytes.fromhex(parsed["epoch"]["public_key"]))
        chunker = parsed["chunker"]
        self.chunk_average = average = chunker["average"]
        need(chunker["algorithm"] == "gear-nc2" and average >> 10 in (16, 32, 64, 128), "the chunker is unknown")
        need(chunker["minimum"] == average // 4 and chunker["maximum"] == average * 4, "the chunker's sizes are wrong")
