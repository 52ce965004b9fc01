"""What a WebP's structure tells: chunks, and how the frame says it was coded (RFC 9649, RFC 6386, section 9)."""

import struct
from collections.abc import Iterator

from provenance.inspection.features import Features, Rooms, digest_of

_PICTURES = (b"VP8 ", b"VP8L")
_FOLLOWING = ("quantiser of segment", "filter of segment", "filter level", "first transforms")  # from the picture
_TRANSFORMS = ("predictor", "colour", "green", "palette")


def webp_features(data: bytes) -> Rooms:
    """Chunks and frame header of one file. Raises ValueError, IndexError or struct.error where it is damaged."""
    chunks = list(_chunks(data))
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    features: Features = {
        "chunks": " ".join(kind.decode("latin-1").strip() for kind, _ in chunks),
        "bytes behind the end": len(data) - end,
    }
    for kind, body in chunks:
        if kind in _PICTURES:
            features |= _lossy(body) if kind == b"VP8 " else _lossless(body)
        elif kind == b"VP8X":
            features["extended header"] = body[:4].hex()
        else:
            name = kind.decode("latin-1").strip()
            features[f"size of {name}"] = float(features.get(f"size of {name}", 0)) + len(body)
            if name == "ALPH":
                features["coding of alpha"] = f"{body[0]:02x}"
    follows = {name: value for name, value in features.items() if name.startswith(_FOLLOWING)}
    return {"structure": {name: features[name] for name in features.keys() - follows.keys()}, "bytes": follows}


def compressed(data: bytes) -> int:
    """Bytes of the coded picture."""
    return sum(len(body) for kind, body in _chunks(data) if kind in _PICTURES)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _lossy(body: bytes) -> Features:
    tag = int.from_bytes(body[:3], "little")
    bits = _BoolDecoder(body[10 : 10 + (tag >> 5)])
    features: Features = {"coding": "lossy", "profile": str(tag >> 1 & 7), "scaling": f"{body[7] >> 6} {body[9] >> 6}"}
    features["colour space and clamping"] = f"{bits.bit()} {bits.bit()}"
    segments = bits.bit()
    features |= {"segments": str(segments), **(_segments(bits) if segments else {})}
    features["loop filter"] = "simple" if bits.bit() else "normal"
    features["filter level"], features["filter sharpness"] = bits.number(6), bits.number(3)
    changes = bits.bit()
    if changes and bits.bit():
        features["filter changes"] = digest_of(repr([bits.signed(6) for _ in range(8)]).encode())
    features["partitions"] = str(1 << bits.number(2))
    features["quantiser"] = bits.number(7)
    features["quantiser differences"] = " ".join(str(bits.signed(4)) for _ in range(5))
    return features


def _segments(bits: "_BoolDecoder") -> Features:
    features: Features = {}
    updates_map, updates_data = bits.bit(), bits.bit()
    if updates_data:
        features["segments are absolute"] = str(bits.bit())
        for number in range(4):
            features[f"quantiser of segment {number + 1}"] = bits.signed(7)
        for number in range(4):
            features[f"filter of segment {number + 1}"] = bits.signed(6)
    if updates_map:
        for _ in range(3):
            if bits.bit():
                bits.number(8)
    return features


def _lossless(body: bytes) -> Features:
    bits, at, found = int.from_bytes(body[5:64], "little"), 0, list[str]()
    if body[0] != 0x2F:
        raise ValueError("no lossless picture")
    while bits >> at & 1 and len(found) < 4:
        kind = bits >> (at + 1) & 3
        found.append(_TRANSFORMS[kind])
        if kind != 2:  # what follows is coded with codes of its own
            break
        at += 3
    return {"coding": "lossless", "first transforms": " ".join(found), "alpha is used": str(body[4] >> 4 & 1)}


class _BoolDecoder:
    """The arithmetic decoder of RFC 6386, section 7, for bits of even chance."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 2
        self._value, self._range, self._shifted = int.from_bytes(data[:2], "big"), 255, 0

    def bit(self) -> int:
        split = 1 + ((self._range - 1) * 128 >> 8)
        found = int(self._value >= split << 8)
        if found:
            self._range, self._value = self._range - split, self._value - (split << 8)
        else:
            self._range = split
        while self._range < 128:
            self._value, self._range, self._shifted = self._value << 1, self._range << 1, self._shifted + 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return found

    def number(self, width: int) -> int:
        value = 0
        for _ in range(width):
            value = value << 1 | self.bit()
        return value

    def signed(self, width: int) -> int:
        """A number that is only there where a bit says so, its sign behind it."""
        if not self.bit():
            return 0
        value = self.number(width)
        return -value if self.bit() else value
