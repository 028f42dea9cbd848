"""One small film in every supported codec, whole and damaged."""

import base64
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from dicom_files import END_OF_IMAGE, jpeg_12_bit, jpeg_lossless, write_dicom
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

ROWS, COLUMNS = np.mgrid[:80, :101]
FILM = np.sin(ROWS / 11) * np.cos(COLUMNS / 17) * 1700 + 2000
FILM = (FILM + np.random.default_rng(0).normal(0, 20, FILM.shape)).astype(np.uint16)
"""12 bits, with an odd number of columns."""

FILM_8 = (FILM >> 4).astype(np.uint8)

HIGH_THROUGHPUT = base64.b64decode(
    "/0//UQApQAAAAAAwAAAAIAAAAAAAAAAAAAAAMAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBE"
    "AB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAxgAAf+TwAAqANv6"
    "2/wBQjQAwAASwAATwAATAOoBh3QARbH3AoF0AOP+Aod0AMAAFbAABWwAAVhqXiXDAa3ZAEIBezYASrZZi/PN0QAhAb"
    "+WAH7qVvgodwAQgb2WAMAAFvwAAW3AABaoUpuHzHJ5MymLG8OR5aexnJjKAVCgFxS0kSCIIFqZAAQAUQJ0DdkUHsEw"
    "b+sicTyJmRFEikQgOQKZABSgrwFdmmYUgqH+QEOJJEgAmB6aAMAAF6pAABd9AABdAKqMBhAvEDFn6CXse3DgAmGENB"
    "hRwxSxRj33xFLAaxRVc1WzJqJGZiQAxK5Wlx1GDzEh9YIQzBEUDk7+ABRyNRf2WSpIFKSqBRYABoIRZSUKSqq5AXAQ"
    "IAibbe/ExA6AgWGYQEBBRoY9z98RQQQUIliPlb2U2UFYUnHLA6145V1gskd2SHCpa/aZgxguA2WCmFgBgicQQggFpI"
    "KB4kHGjjj1s0mnvMNm1+8y39z7t44flgHAAC+roAAX0XAAC9UAFBSAAUCQP0+e/3uAjgclSRu2bVK6vn3/N9UAABej"
    "goCAIHR/3X0FODZAUQA6wIH/f0FBopDN11+tegqICCJk+e3qP/munwJtGEAEhOB9f/9n/3/vowIjYNsmFYM+WSIFvH"
    "WKhV4v8La4bI7pW1ndZaznoOvaztqNa4ZRQCyjy5cCznr508fvbDZmNNJZbbnyHiuAsMWrV+M/qfWAORHArCOb7KuJ"
    "a44vVzVaZHEFiAAAIry7+w9VVFVF/v8BEMC/AwQACAB+AABw/x+oCAT8f/eAAoAoBINHygYLy0KCE9VoqCgpqShUnP"
    "x4obUSAgkgKKm9RICDlIvZHVrztfEvQdfXaYftcNkTEPLB/OmoBgiwddzXfrJ8de8y1tneJtnoLBat7wjB4tecHcIF"
    "qu7542qB9fyjG3lQBQAUhNAHHgAEAGEAQIYAEQEAAgDw6AAFdMvoehoqlztus9dF2iUsq3EtZMbpj4MleTTLWEeq7H"
    "PosBgyt/dKtixvjQ29rZ5NIxeDcCXJJ6Jtnh6vA//Z"
)
"""A 16-bit image of 32 rows and 48 columns, encoded by OpenJPH, which the tests do not install."""


@dataclass(frozen=True)
class Codec:
    """A film in one codec.

    Attributes:
        name: the codec's name.
        decoder: the library that decodes it here.
        coded: the encoded film.
        film: turns encoded data into the content of a file.
        ended: adds an end mark to truncated data; None if the codec has no end mark.
    """

    name: str
    decoder: str
    coded: bytes
    film: Callable[[bytes], bytes] = bytes
    ended: Callable[[bytes], bytes] | None = None

    def damaged(self) -> Iterator[tuple[str, bytes]]:
        """Kinds of damage, each with the content of a damaged file."""
        size = len(self.coded)
        generator = np.random.default_rng(0)
        for kind, kept in CUTS.items():
            broken = self.coded[: int(size * kept)]
            yield kind, self.film(broken)
            if self.ended:
                yield END_BEHIND, self.film(self.ended(broken))
        places = np.linspace(size * 0.4, size * 0.8, 8).astype(int)
        for place in places:
            changed = bytearray(self.coded)
            changed[place] ^= 1 << generator.integers(8)
            yield "bit flipped", self.film(bytes(changed))
        for place in places[::4]:
            changed = bytearray(self.coded)
            changed[place : place + 60] = generator.bytes(60)
            yield "60 bytes changed", self.film(bytes(changed))


CUTS = {"cut at a third": 1 / 3, "cut at half": 1 / 2, "cut at 97%": 0.97}

END_BEHIND = "cut, with an end mark added"


def encoded(suffix: str, image: np.ndarray, *settings: int) -> bytes:
    """An image encoded by OpenCV."""
    return cv2.imencode(suffix, image, settings)[1].tobytes()


def tiff(image: np.ndarray, compression: str) -> bytes:
    """A TIFF file of several strips, encoded by libtiff."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF", compression=compression, strip_size=4096)
    return buffer.getvalue()


def dicom_around(syntax: str, bits: int, shape: tuple[int, int]) -> Callable[[bytes], bytes]:
    """A function that makes a DICOM file with encoded data as its only frame."""
    coded = b"the coded data"
    with TemporaryDirectory() as folder:
        path = write_dicom(Path(folder, "film"), np.zeros(shape, np.uint16), bits)
        dataset = dcmread(path)
        dataset.BitsAllocated = 8 if bits == 8 else 16
        dataset.PixelData = encapsulate([coded], has_bot=False)
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
        before, after = path.read_bytes().split(struct.pack("<I", len(coded)) + coded)

    def film(coded: bytes) -> bytes:
        coded += bytes(len(coded) % 2)
        return before + struct.pack("<I", len(coded)) + coded + after

    return film


def frame(syntax: str, **options: object) -> bytes:
    """The film's frame, encoded by pydicom's encoders."""
    with TemporaryDirectory() as folder:
        dataset: Dataset = dcmread(write_dicom(Path(folder, "film"), FILM))
        dataset.compress(syntax, **options)
        return get_frame(dataset.PixelData, 0, number_of_frames=1)


def not_encapsulated(syntax: str) -> bytes:
    """A DICOM file without compressed frames, the same at each call, with its pixels last."""
    with TemporaryDirectory() as folder:
        path = write_dicom(Path(folder, "film"), FILM)
        dataset = dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, enforce_file_format=True)
        return path.read_bytes()


def ended_png(broken: bytes) -> bytes:
    """A complete PNG file with the data of a truncated one."""
    data, place = b"", 8
    while place < len(broken):
        size, kind = struct.unpack_from(">I4s", broken, place)
        data += broken[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += size + 12
    chunks = broken[:33]
    for kind, content in ((b"IDAT", data), (b"IEND", b"")):
        size, check = len(content), zlib.crc32(kind + content)
        chunks += struct.pack(">I", size) + kind + content + struct.pack(">I", check)
    return chunks


def ended_webp(broken: bytes) -> bytes:
    """A truncated WebP file with corrected sizes (RFC 9649 2.4)."""
    broken = broken[: len(broken) // 2 * 2]
    sizes = struct.pack("<I", len(broken) - 8), struct.pack("<I", len(broken) - 20)
    return broken[:4] + sizes[0] + broken[8:16] + sizes[1] + broken[20:]


def ended(broken: bytes) -> bytes:
    """Truncated data of any JPEG codec with an end-of-image marker."""
    return broken + END_OF_IMAGE


def codecs() -> list[Codec]:
    """All supported codecs."""
    opencv, turbo = "OpenCV", "simplejpeg"
    found = [
        Codec("PNG, 8 bits", opencv, encoded(".png", FILM_8), ended=ended_png),
        Codec("PNG, 16 bits", opencv, encoded(".png", FILM), ended=ended_png),
        Codec("JPEG", turbo, encoded(".jpg", FILM_8), ended=ended),
        Codec("JPEG, with restarts", turbo,
              encoded(".jpg", FILM_8, cv2.IMWRITE_JPEG_RST_INTERVAL, 4), ended=ended),
        Codec("JPEG, progressive", turbo,
              encoded(".jpg", FILM_8, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), ended=ended),
        Codec("JPEG, colour, progressive", turbo,
              encoded(".jpg", np.dstack([FILM_8, FILM_8.T.reshape(FILM_8.shape), FILM_8]),
                      cv2.IMWRITE_JPEG_PROGRESSIVE, 1), ended=ended),
        Codec("WebP, lossy", opencv, encoded(".webp", FILM_8, cv2.IMWRITE_WEBP_QUALITY, 80),
              ended=ended_webp),
        Codec("WebP, lossless", opencv, encoded(".webp", FILM_8, cv2.IMWRITE_WEBP_QUALITY, 101),
              ended=ended_webp),
        Codec("BMP", opencv, encoded(".bmp", FILM_8)),
    ]  # fmt: skip
    for bits, image in ((8, FILM_8), (16, FILM)):
        found += [
            Codec(f"TIFF, {name}, {bits} bits", opencv, tiff(image, compression))
            for name, compression in TIFF_COMPRESSIONS.items()
            if bits == 8 or name != "JPEG"
        ]
    found += [
        Codec("DICOM, uncompressed", "pydicom", not_encapsulated(ExplicitVRLittleEndian)),
        Codec("DICOM, deflated", "pydicom", not_encapsulated(DeflatedExplicitVRLittleEndian)),
    ]
    for name, decoder, syntax, bits, coded in _dicom_frames():
        shape = (32, 48) if syntax == HTJ2KLossless else FILM.shape
        film, end = dicom_around(syntax, bits, shape), None if name == "RLE" else ended
        found.append(Codec(f"DICOM, {name}", decoder, coded, film, end))
    return found


def _dicom_frames() -> list[tuple[str, str, str, int, bytes]]:
    """Name, decoder, transfer syntax, bits and encoded film of each compressed DICOM file."""
    libjpeg, openjpeg = "pylibjpeg-libjpeg", "pylibjpeg-openjpeg"
    eight = encoded(".jpg", FILM_8)
    fine = encoded(".jpg", FILM_8, cv2.IMWRITE_JPEG_QUALITY, 95)
    sequential = eight.replace(b"\xff\xc0", b"\xff\xc1", 1)
    lossless_8 = jpeg_lossless(FILM_8, 8, 1)
    return [
        ("RLE", "pydicom", RLELossless, 12, frame(RLELossless)),
        ("JPEG baseline", "simplejpeg", JPEGBaseline8Bit, 8, eight),
        ("JPEG extended, 8 bits", "simplejpeg", JPEGExtended12Bit, 8, sequential),
        ("JPEG extended, 12 bits", libjpeg, JPEGExtended12Bit, 12, jpeg_12_bit(fine)),
        ("JPEG lossless, process 14", libjpeg, JPEGLossless, 12, jpeg_lossless(FILM, 12, 4)),
        ("JPEG lossless, SV1", libjpeg, JPEGLosslessSV1, 12, jpeg_lossless(FILM, 12, 1)),
        ("JPEG lossless, SV1, restarts", libjpeg, JPEGLosslessSV1, 12,
         jpeg_lossless(FILM, 12, 1, 16)),
        ("JPEG lossless, SV1, 8 bits", libjpeg, JPEGLosslessSV1, 8, lossless_8),
        ("JPEG-LS lossless", "pyjpegls", JPEGLSLossless, 12, frame(JPEGLSLossless)),
        ("JPEG-LS near-lossless", "pyjpegls", JPEGLSNearLossless, 12,
         frame(JPEGLSNearLossless, jls_error=2)),
        ("JPEG 2000 lossless", openjpeg, JPEG2000Lossless, 12, frame(JPEG2000Lossless)),
        ("JPEG 2000", openjpeg, JPEG2000, 12, frame(JPEG2000, j2k_cr=[8])),
        ("HTJ2K lossless", openjpeg, HTJ2KLossless, 16, HIGH_THROUGHPUT),
    ]  # fmt: skip


TIFF_COMPRESSIONS = {
    "uncompressed": "raw",
    "LZW": "tiff_lzw",
    "deflate": "tiff_adobe_deflate",
    "PackBits": "packbits",
    "JPEG": "jpeg",
}
"""TIFF compressions by Pillow's names."""
