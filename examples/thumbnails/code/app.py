"""Makes a thumbnail of every image dropped into the inbox. The event is an S3 notification."""

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_plus

from PIL import Image, ImageOps

SIZE = int(os.environ.get("SIZE", "128"))
INBOX = Path(os.environ["INBOX"])
THUMBNAILS = Path(os.environ["THUMBNAILS"])


def handler(event, context):
    """Returns the keys of the thumbnails made."""
    keys = [unquote_plus(record["s3"]["object"]["key"]) for record in event["Records"]]
    for key in keys:
        check(key)
        width, height = make_thumbnail(INBOX / key, THUMBNAILS / key)
        print(f"{key}: {width}x{height}")
    return {"thumbnails": keys}


def check(key):
    """A bucket's keys never lead out of it, but an event sent by hand might."""
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"not a key in the inbox: {key!r}")


def make_thumbnail(source, target):
    """Whoever looks into the folder sees whole thumbnails only, hence the rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with Image.open(source) as image:
            thumbnail = scale(image)
            thumbnail.save(part, format=image.format)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return thumbnail.size


def scale(image):
    """At most SIZE by SIZE, upright as the camera was held, without its EXIF data."""
    if image.mode == "P":
        image = image.convert("RGBA")
    # First small, then turned: the box is square, and small images turn faster.
    image.thumbnail((SIZE, SIZE))
    return ImageOps.exif_transpose(image)
