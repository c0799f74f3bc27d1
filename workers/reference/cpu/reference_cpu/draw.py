"""From the bytes of a picture to the bytes of a small one. Strangers have made it: nothing in it is believed.

What a process needs for one picture is bounded: the source has at most 16 MiB (`reference_common.blobs`), and is not
decoded above `MAX_PIXELS`. Bytes per pixel at the peak, measured with Pillow 13: WebP 16.2 (its decoder holds several
frames), a picture with a table of colours 9, RGBA 8, a progressive JPEG 4; any other JPEG is decoded small.
"""

import warnings
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

from workerpool import RejectJob

MAX_PIXELS: Final = 25_000_000
"""Of a source. A file of a few KiB may claim, and decode to, a hundred times that: a decompression bomb."""
FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
"""Pillow knows many more, and some of them run other programs (EPS)."""
QUALITY: Final = 85
_ORIENTATION: Final = 0x0112
_LYING: Final = frozenset({5, 6, 7, 8})
"""Values of Exif's Orientation with which width and height change places."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def draw(source: bytes, *, width: int, height: int) -> bytes:
    """A JPEG of the picture that fits into the box; never larger than it was, and turned the right way up.

    Of an animation the first frame; what is transparent is white. Nothing but the picture is taken over: no place
    where it was made, no camera, no colour profile.

    Raises:
        RejectJob: it is no picture, a broken one, or too large to be decoded.
        MemoryError: there is none left now.
    """
    try:
        with warnings.catch_warnings():
            # Above MAX_PIXELS Pillow warns, and refuses only above twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(source), formats=FORMATS) as image:
                return _jpeg(_small(image, (width, height)))
    except MemoryError:
        raise
    except Exception as error:
        # Decoders say in many ways that a file is broken: OSError, SyntaxError, ValueError, EOFError, struct.error...
        raise RejectJob(f"not a picture that can be drawn: {type(error).__name__}: {error}") from error


def _small(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    if image.getexif().get(_ORIENTATION) in _LYING:
        box = (box[1], box[0])
    image.draft("RGB", (2 * box[0], 2 * box[1]))  # JPEG alone can: decoded at a half, a quarter or an eighth
    small: Image.Image = image
    if image.mode in {"1", "P", "PA"}:  # colours from a table cannot be averaged
        small = image.convert("RGBA")
    elif image.mode.startswith("I"):  # 16 bits of grey, of which 8 stay
        small = image.point(lambda level: level * (1 / 256)).convert("L")
    small.thumbnail(box)
    return ImageOps.exif_transpose(small)


def _jpeg(image: Image.Image) -> bytes:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    image, out = image.convert("RGB"), BytesIO()
    image.info.clear()  # a comment would be taken over
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
