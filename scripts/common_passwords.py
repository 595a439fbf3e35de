"""Builds shared/data/common-passwords.bin from the lists of three packages: shared/data/README.md."""

import ast
import gzip
import json
import sys
import tarfile
import unicodedata
import zipfile

# A guesser tries passwords first, then words and names: a word at rank 10 comes as late as a password at 100.
PASSWORDS, WORDS = 1, 10
# (last rank, price): what `shared/src/password/common.rs` adds for an entry, in tenths of the decimal logarithm of the guesses.
PRICES = [(100, 20), (1_000, 30), (10_000, 40), (1_000_000, 50)]
# What it adds for characters that belong to no entry.
DIGIT_OR_SIGN, LETTER = 10, 14
MIN_PASSWORD = 12
# Of words and names so many of each list, and those that would be a password alone.
MAX_WORD_RANK = 5_000


def main(zxcvbn, zxcvbn_ts, django, output):
    words = zxcvbn_lists(zxcvbn)
    lists = [
        (PASSWORDS, words.pop("passwords")),
        (PASSWORDS, zxcvbn_ts_passwords(zxcvbn_ts)),
        (PASSWORDS, django_passwords(django)),
        *((WORDS, entries) for entries in words.values()),
    ]
    listed = merge(lists)
    kept = without_needless(listed)
    alphabet = sorted({character for entry in kept for character in entry})
    data = "".join(alphabet).encode() + b"\n"
    data += serialize(minimize(kept), alphabet, len(data))
    with open(output, "wb") as file:
        file.write(data)
    long = [sum(len(entry) >= MIN_PASSWORD for entry in entries) for entries in (listed, kept)]
    print(f"{len(listed)} entries, {long[0]} of {MIN_PASSWORD} characters or more; kept {len(kept)} and {long[1]}")
    print(f"{len(data)} bytes")


def zxcvbn_lists(path):
    """`{"name": "a,b,c".split(",")}` in a Python file, which is read but not run."""
    source = zipfile.ZipFile(path).read("zxcvbn/frequency_lists.py")
    table = ast.parse(source).body[0].value
    return {name.value: split.func.value.value.split(",") for name, split in zip(table.keys, table.values)}


def zxcvbn_ts_passwords(path):
    with tarfile.open(path) as package:
        return json.load(package.extractfile("package/src/passwords.json"))


def django_passwords(path):
    packed = zipfile.ZipFile(path).read("django/contrib/auth/common-passwords.txt.gz")
    return gzip.decompress(packed).decode().splitlines()


def merge(lists):
    """Each entry with the price of its best rank."""
    ranks = {}
    for weight, entries in lists:
        for rank, entry in enumerate(entries, 1):
            entry = unicodedata.normalize("NFC", entry.lower())
            if weight == WORDS and rank > MAX_WORD_RANK and len(entry) < MIN_PASSWORD:
                continue
            if not entry.isprintable() or not entry or " " in entry or "пїѕ" in entry:  # the last is U+FFFD, misread
                continue
            ranks[entry] = min(rank * weight, ranks.get(entry, rank * weight))
    return {entry: next(price for last, price in PRICES if rank <= last) for entry, rank in ranks.items()}


def without_needless(listed):
    """Drops what costs no more without an entry of its own: spelled out, or as a shorter entry and what is around it."""
    kept = {}
    for entry in sorted(listed, key=lambda entry: (len(entry), entry)):
        parts = [(entry[:at], entry[at:]) for at in range(1, len(entry))] if len(entry) < MIN_PASSWORD else []
        prices = [sum(min(kept.get(part, 999), spelled(part)) for part in pair) for pair in parts]
        cheapest = min([spelled(entry), *prices])
        if listed[entry] < cheapest:
            kept[entry] = listed[entry]
    return kept


def spelled(text):
    return sum(LETTER if character.isalpha() else DIGIT_OR_SIGN for character in text)


def minimize(entries):
    """The smallest acyclic automaton: states as tuples of (character, price or 0, state), the last the root."""
    trie = {}
    for entry, price in entries.items():
        children = trie
        for character in entry[:-1]:
            children = children.setdefault(character, [0, {}])[1]
        children.setdefault(entry[-1], [0, {}])[0] = price
    states = {}

    def number(children):
        state = tuple((character, price, number(below)) for character, (price, below) in sorted(children.items()))
        return states.setdefault(state, len(states))

    number(trie)
    return list(states)


def serialize(states, alphabet, start):
    """See shared/data/README.md for the form."""
    root = len(states) - 1
    leaf = states.index(())
    uses = [0] * len(states)
    for state in states:
        for _, _, below in state:
            uses[below] += 1
    # Chains: a state stands right behind the one that leads to it, where it can. The most used ones come first, at
    # low addresses, which are shorter.
    behind, taken = {}, {root, leaf}
    for at in reversed(range(len(states))):
        free = [edge for edge in states[at] if edge[2] not in taken]
        if free:
            behind[at] = min(free, key=lambda edge: (edge[1], uses[edge[2]], edge))
            taken.add(behind[at][2])
    heads = [root, *sorted(set(range(len(states))) - taken, key=lambda at: (-uses[at], at))]
    order = []
    for at in heads:
        while at is not None:
            order.append(at)
            at = behind[at][2] if at in behind else None

    codes = {character: code for code, character in enumerate(alphabet)}
    addresses = [len(states) * 8] * len(states)
    while True:  # until the addresses, and with them their lengths, no longer move
        data, before, addresses = bytearray(), addresses, [0] * len(states)
        for at in order:
            addresses[at] = start + len(data)
            next_edge = behind.get(at)
            edges = [edge for edge in states[at] if edge != next_edge] + ([next_edge] if next_edge else [])
            for edge in edges:
                character, price, below = edge
                if edge == next_edge and not price:
                    data.append(0x80 | codes[character])
                    continue
                address = 1 if edge == next_edge else 0 if below == leaf else before[below]
                extra = (address.bit_length() + 5) // 8
                last, kind = edge == edges[-1], price // 10 - 1 if price else 0
                head = last << 7 | kind << 4 | extra << 2 | address >> 8 * extra
                data += bytes([codes[character], head]) + (address & (1 << 8 * extra) - 1).to_bytes(extra, "big")
        if addresses == before:
            return bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: common_passwords.py zxcvbn.whl zxcvbn-ts-language-common.tgz django.whl output")
    main(*sys.argv[1:])
