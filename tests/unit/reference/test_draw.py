"""What is drawn of pictures, of things that are none, and of bombs."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from reference_common.standin import sample
from tests.support.pictures import bomb
from workerpool import RejectJob
from workers.reference.cpu.reference_cpu.draw import MAX_PIXELS, draw

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def drawn(source: bytes, *, width: int = 32, height: int = 32) -> Image.Image:
    image = Image.open(BytesIO(draw(source, width=width, height=height)))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def near(found: object, wanted: tuple[int, int, int]) -> bool:
    """JPEG is not exact."""
    assert isinstance(found, tuple)
    return all(abs(one - other) < 12 for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_picture_is_fitted_into_the_box(kind: str) -> None:
    image = drawn(encoded(Image.new("RGB", (200, 100), RED), kind))
    assert image.size == (32, 16)
    assert near(image.getpixel((16, 8)), RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_colour_becomes_plain_colour(mode: str) -> None:
    white: Any = {"1": 1, "L": 255, "LA": (255, 255), "P": 0, "RGBA": (255, 255, 255, 255), "I;16": 65535}[mode]
    image = Image.new(mode, (64, 64), white)
    if mode == "P":
        image.putpalette([255, 255, 255])
    assert near(drawn(encoded(image)).getpixel((16, 16)), WHITE)


def test_a_print_in_four_colours_becomes_three() -> None:
    assert near(drawn(encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")).getpixel((9, 9)), RED)


def test_a_small_picture_is_not_enlarged() -> None:
    assert drawn(encoded(Image.new("RGB", (8, 4), RED))).size == (8, 4)


def test_what_is_transparent_is_white() -> None:
    assert near(drawn(encoded(Image.new("RGBA", (64, 64), (255, 0, 0, 0)))).getpixel((16, 16)), WHITE)


def test_a_lying_picture_is_turned_and_still_fits() -> None:
    """Orientation 6: what the camera calls its left side is up."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = drawn(encoded(Image.new("RGB", (200, 100), RED), "JPEG", exif=exif), width=40, height=20)
    assert image.size == (10, 20)
    assert not image.getexif()


def test_nothing_is_taken_over_that_tells_of_its_maker() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    source = encoded(Image.new("RGB", (64, 64), RED), "JPEG", exif=exif, comment=b"at home")
    assert b"camera" in source
    assert not {"exif", "comment", "icc_profile"} & set(drawn(source).info)


def test_the_same_picture_gives_the_same_bytes() -> None:
    """So it does not matter which of two attempts stores it."""
    source = sample(64, 48)
    assert draw(source, width=32, height=32) == draw(source, width=32, height=32)


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        sample(64, 48)[:100],
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\xff\xd8\xff" + b"\0" * 64,
    ],
    ids=["nothing", "text", "a beginning", "a half", "a program", "noise"],
)
def test_what_is_no_picture_is_rejected(source: bytes) -> None:
    with pytest.raises(RejectJob, match="not a picture that can be drawn"):
        draw(source, width=32, height=32)


@pytest.mark.parametrize("pixels", [MAX_PIXELS + 1000, 3 * MAX_PIXELS, 4_000_000_000])
def test_a_bomb_is_refused_before_it_is_decoded(pixels: int) -> None:
    with pytest.raises(RejectJob, match="DecompressionBomb"):
        draw(bomb(1000, pixels // 1000), width=32, height=32)


def test_memory_that_is_short_now_is_no_fault_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt fails, and another one is made."""

    def short(*_arguments: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "thumbnail", short)
    with pytest.raises(MemoryError):
        draw(sample(64, 48), width=32, height=32)
