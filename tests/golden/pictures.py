"""Pictures in all kinds of files, and what Pillow makes of them: writes pictures.json, read by tests/data.rs.

    python pictures.py

Each picture is decoded, laid on white, turned upright by its EXIF tag, cropped to the square in its middle and brought to
5x5 by means over areas. The files stand in the JSON as base64. Needs numpy and Pillow.
"""

import base64
import io
import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

random = np.random.RandomState(7)
SIDE = 5


def smooth(height, width, channels, levels=255):
    """A smooth picture, different along both axes and in all channels."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(0.31 * (c + 1) * x / width * 6 + c) * np.cos(0.4 * y / height * 7 + 2 * c) for c in range(channels)]
    values = np.stack(waves, -1) * 0.45 + 0.5 + 0.05 * random.rand(height, width, channels)
    return (values.clip(0, 1) * levels).astype(np.uint8 if levels < 256 else np.uint16)


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def png_by_hand(width, height, depth, kind, rows):
    """A PNG of a kind that Pillow does not write."""

    def chunk(tag, data):
        body = tag + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def reduced(image):
    """What is expected of a decoded picture."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "P"):
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        grey = image.mode == "LA"
        image = Image.alpha_composite(ground, layer).convert("RGB")
        image = image.getchannel(0) if grey else image
    size = min(image.size)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    square = image.crop((left, top, left + size, top + size))
    # Each point as SIDE x SIDE equal ones, so that the means are of whole points: Pillow's box filter is not exact else.
    square = square.resize((size * SIDE, size * SIDE), Image.NEAREST).reduce(size)
    values = np.asarray(square)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


pictures = {}


def add(name, contents, expected=None, tolerance=1):
    expected = reduced(Image.open(io.BytesIO(contents)) if expected is None else expected)
    pictures[name] = {
        "file": base64.b64encode(contents).decode(),
        "channels": int(expected.shape[0]),
        "expected": expected.reshape(-1).tolist(),
        "tolerance": tolerance,
    }


rgb = Image.fromarray(smooth(13, 21, 3))
grey = Image.fromarray(smooth(17, 12, 1)[..., 0])
alpha = Image.fromarray(smooth(11, 16, 4), "RGBA")
add("rgb.png", saved(rgb, format="PNG"))
add("grey.png", saved(grey, format="PNG"))
add("alpha.png", saved(alpha, format="PNG"))
add("grey-alpha.png", saved(Image.merge("LA", [grey, grey.rotate(180)]), format="PNG"))
add("palette.png", saved(rgb.quantize(40), format="PNG"))
clear = rgb.quantize(40)
add("palette-alpha.png", saved(clear, format="PNG", transparency=bytes(range(0, 240, 6))))
add("one-bit.png", saved(grey.convert("1"), format="PNG"), grey.convert("1").convert("L"))
add("small.png", saved(rgb.crop((0, 0, 4, 3)), format="PNG"))
# 16 bits: the upper byte of each.
deep = smooth(10, 14, 3, 65535)
rows = [row.astype(">u2").tobytes() for row in deep]
add("deep.png", png_by_hand(14, 10, 16, 2, rows), Image.fromarray((deep >> 8).astype(np.uint8)))
deep = smooth(9, 9, 1, 65535)[..., 0]
rows = [row.astype(">u2").tobytes() for row in deep]
add("deep-grey.png", png_by_hand(9, 9, 16, 0, rows), Image.fromarray((deep >> 8).astype(np.uint8)))
# JPEG decoders may differ by a few levels (the transform, the upsampled colours).
large = Image.fromarray(smooth(48, 64, 3))
add("photo.jpg", saved(large, format="JPEG", quality=92, subsampling=0), tolerance=3)
add("subsampled.jpeg", saved(large, format="JPEG", quality=92, subsampling=2), tolerance=4)
add("progressive.jpg", saved(large, format="JPEG", quality=92, progressive=True), tolerance=4)
add("grey.jpg", saved(Image.fromarray(smooth(40, 24, 1)[..., 0]), format="JPEG", quality=92), tolerance=3)
for orientation in range(2, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    name = f"turned-{orientation}.jpg"
    add(name, saved(large, format="JPEG", quality=92, subsampling=0, exif=exif), tolerance=3)

document = {"by": f"Pillow {PIL.__version__}", "side": SIDE, "pictures": pictures}
(pathlib.Path(__file__).parent / "pictures.json").write_text(json.dumps(document) + "\n")
