"""docs/format.md, section 3: access."""
import collections
import hashlib
import os
import struct
import sys

from conventions import Damage, Fields, check_signature, hkdf, named_files, need, unseal
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


PASSPHRASE, KEY_FILE, RECOVERY_KEY = 1, 2, 3
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Slot = collections.namedtuple("Slot", "type log2_n r p id salt public ephemeral wrapped")


class Generation:
    def __init__(self, data):
        self.data, fields = data, Fields(data)
        fields.magic(b"VRVKEYS\n")
        fields.zero(6)
        self.store_id, self.number = fields.take(16), fields.u64()
        self.parents = [fields.take(32) for _ in range(fields.u16())]
        self.epochs = [(fields.take(16), fields.take(32)) for _ in range(fields.u16())]
        self.before_slots = data[:fields.at]
        self.slots = [self.slot(fields) for _ in range(fields.u16())]
        need(len(self.slots) <= 64 and len(self.epochs) <= 1024 and len(self.parents) <= 64, "a generation is over its limits")
        self.sealed = fields.take(fields.u32())
        self.signer = fields.take(16)
        fields.take(64)
        if self.number > 1:
            fields.take(64)
        fields.end()

    @staticmethod
    def slot(fields):
        kind, log2_n = fields.u8(), fields.u8()
        fields.zero(2)
        r, p = fields.u32(), fields.u32()
        need(log2_n <= 20 and r <= 16 and p <= 4, "scrypt's parameters are over their limits")
        need(kind == PASSPHRASE or (log2_n, r, p) == (0, 0, 0), "scrypt's parameters are not zero")
        return Slot(kind, log2_n, r, p, *(fields.take(n) for n in (8, 32, 32, 32, 48)))

    def check(self, store, valid):
        need(self.store_id == store.id, "a generation is another store's")
        need(self.epochs and self.epochs[0] == store.epoch, "a generation's first epoch is not the store's")
        need(len({epoch for epoch, _ in self.epochs}) == len(self.epochs), "epochs have the same id")
        need((self.number == 1) == (not self.parents), "a generation's parents do not go with its number")
        parents = [valid[parent] for parent in self.parents if parent in valid]
        if self.number == 1:
            need(len(self.epochs) == 1, "the first generation has more than one epoch")
        for parent in parents:
            need(parent.number < self.number and set(parent.epochs) <= set(self.epochs), "a generation is no child of its parents")
        signers = dict(parent.epochs[-1] for parent in parents) if parents else dict(self.epochs)
        need(self.signer in signers, "a generation's signer is no parent's epoch")
        if self.number > 1:
            check_signature(store.epoch[1], self.data)
        check_signature(signers[self.signer], self.data if self.number == 1 else self.data[:-64])

    def open(self, store, kind, secret):
        """The keyring: (dedup secret, epoch id -> key); None where the secret opens no slot of its kind."""
        for slot in self.slots:
            if slot.type != kind:
                continue
            private = x25519.X25519PrivateKey.from_private_bytes(private_key(slot, secret))
            shared = private.exchange(x25519.X25519PublicKey.from_public_bytes(slot.ephemeral))
            wrapping_key = hkdf(shared, slot.ephemeral + slot.public, b"varve/1 slot" + store.id)
            try:
                key = unseal(wrapping_key, slot.wrapped, store.id + struct.pack("<Q", self.number) + slot.id)
            except Damage:
                continue
            return self.keyring(store, Fields(unseal(key, self.sealed, self.before_slots)))
        return None

    def keyring(self, store, fields):
        need(fields.take(16) == store.id and fields.take(32) == store.hash, "store.json is not the keyring's")
        dedup_secret = fields.take(32)
        epochs = [(fields.take(16), fields.take(32)) for _ in range(fields.u16())]
        fields.end()
        public = [(epoch, signing_key(key, store.id)) for epoch, key in epochs]
        need(public == self.epochs, "the keyring's epochs are not the generation's")
        return dedup_secret, dict(epochs)


def private_key(slot, secret):
    if slot.type == PASSPHRASE:
        memory = (129 * slot.r << slot.log2_n) + (1 << 20)
        return hashlib.scrypt(secret, salt=slot.salt, n=1 << slot.log2_n, r=slot.r, p=slot.p, dklen=32, maxmem=memory)
    return hkdf(secret, slot.salt, b"varve/1 key file" if slot.type == KEY_FILE else b"varve/1 recovery key")


def recovery_key(text):
    """The 32 bytes of a recovery key as it was printed."""
    digits = text.upper().translate(str.maketrans("ILO", "110", "- \n"))
    need(len(digits) == 56 and set(digits) <= set(CROCKFORD), "a recovery key has 56 letters and digits")
    value = 0
    for digit in digits:
        value = 32 * value + CROCKFORD.index(digit)
    data = value.to_bytes(35, "big")
    need(hashlib.sha256(data[:32]).digest()[:3] == data[32:], "the recovery key's check is wrong")
    return data[:32]


def signing_key(epoch_key, store_id):
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hkdf(epoch_key, store_id, b"varve/1 signing"))
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def access(path, store, kind, secret):
    """(dedup secret, epoch id -> key, epoch id -> public key) of the generations in force."""
    generations = {}
    for name, data in named_files(os.path.join(path, "keys")).items():
        try:
            generations[name] = Generation(data)
        except Damage as damage:
            print(f"keys/{name.hex()} is passed over: {damage}", file=sys.stderr)
    valid = {}
    for name, generation in sorted(generations.items(), key=lambda item: item[1].number):
        try:
            generation.check(store, valid)
            valid[name] = generation
        except Damage as damage:
            print(f"keys/{name.hex()} is passed over: {damage}", file=sys.stderr)
    opened = {}
    while True:  # What does not open is passed over, and then what it names as parents is in force.
        superseded = {parent for generation in valid.values() for parent in generation.parents}
        waiting = [name for name in valid if name not in superseded and name not in opened]
        if not waiting:
            break
        for name in waiting:
            try:
                opened[name] = valid[name].open(store, kind, secret)
            except Damage:
                opened[name] = None
            if opened[name] is None:
                del valid[name], opened[name]
    need(opened, "the secret opens nothing")
    secrets = {secret for secret, _ in opened.values()}
    need(len(secrets) == 1, "two dedup secrets")
    keys = {epoch: key for _, epochs in opened.values() for epoch, key in epochs.items()}
    return secrets.pop(), keys, {epoch: signing_key(key, store.id) for epoch, key in keys.items()}
