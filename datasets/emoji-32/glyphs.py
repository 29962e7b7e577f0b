"""Tells the glyph of every record of emoji32.bin.gz, and splits the records by glyph: writes glyphs.tsv.gz.

    python glyphs.py FOLDER

FOLDER holds the four npm packages, unpacked: fluent-emoji-flat 1.2.6, noto 1.2.9, noto-v1 1.2.5 and fxemoji 1.2.2 of
@iconify-json, each in a folder of its name. Needs numpy, scipy, Pillow and cairosvg.

1. The records hold no names. Every icon is drawn anew at 32x32, and a record is the icon of its style that it is
   nearest to, each icon once. Draughtsmen of curves differ a little, so the match is close (2 to 6 of 255, where the next
   icon is 10 and more away), not exact; where two icons look alike their names do not matter, as 3 joins them.
2. The first three sets name glyphs alike; fxemoji has names of its own. They are translated where they are such a name
   without hyphens, or the Unicode name of the glyph: 605 of 1,028.
3. Glyphs that are one but for man, woman or person, and images nearer than 20 of 255, are joined to groups.
4. A group can be tested on only if none of its glyphs can be in fxemoji under a name that was not translated: each has
   its fxemoji record, or came after it (it is not in noto-v1, which is younger). Of these groups, in the order of the
   SHA-256 of their first names, a tenth of all images becomes the test set.
"""

import collections
import gzip
import hashlib
import io
import json
import pathlib
import re
import sys
import unicodedata

import cairosvg
import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

STYLES = ["fluent-emoji-flat", "noto", "noto-v1", "fxemoji"]
NEAR = 20.0

here = pathlib.Path(__file__).parent
packages = pathlib.Path(sys.argv[1])
records = np.frombuffer(gzip.open(here / "emoji32.bin.gz").read(), np.uint8).reshape(-1, 3074)
pixels = records[:, 2:].astype(np.float32)


def package(style, file):
    return json.loads((packages / style / file).read_text())


def drawn(icons, name):
    icon = icons["icons"][name]
    side = [icon.get(key, icons.get(key, 16)) for key in ("width", "height")]
    box = [icon.get("left", 0), icon.get("top", 0), *side]
    svg = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{} {} {} {}">{}</svg>'
    png = cairosvg.svg2png(svg.format(*box, icon["body"]).encode(), output_width=32, output_height=32, background_color="white")
    return np.array(Image.open(io.BytesIO(png)).convert("RGB")).transpose(2, 0, 1).reshape(-1).astype(np.float32)


def distances(a, b):
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0) / a.shape[1])


# 1
names = [""] * len(records)
for style, known in enumerate(STYLES):
    icons = package(known, "icons.json")
    candidates = [name for name in icons["icons"] if "skin-tone" not in name]
    of_style = np.flatnonzero(records[:, 1] == style)
    distance = distances(pixels[of_style], np.stack([drawn(icons, name) for name in candidates]))
    rows, columns = linear_sum_assignment(distance)
    found = distance[rows, columns]
    print(f"{known}: {len(rows)} records, distance median {np.median(found):.1f}, largest {found.max():.1f}")
    for row, column in zip(rows, columns):
        names[of_style[row]] = candidates[column]

# 2
shared = {name for name, record in zip(names, records) if record[1] != 3}
plain = {name.replace("-", ""): name for name in shared}
for style in ("fluent-emoji-flat", "noto"):
    for code, name in package(style, "chars.json").items():
        points = [int(point, 16) for point in code.split("-") if point.lower() != "fe0f"]
        if len(points) == 1:
            said = unicodedata.name(chr(points[0]), "").lower()
            plain.setdefault("".join(letter for letter in said if letter.isalnum()), name)
own = [index for index in range(len(records)) if records[index, 1] == 3]
for index in own:
    names[index] = plain.get(names[index], "fxemoji:" + names[index])
translated = {names[index] for index in own if not names[index].startswith("fxemoji:")}
print(f"fxemoji: {sum(names[index] in translated for index in own)} of {len(own)} names translated")


# 3
def genderless(name):
    return re.sub(r"^(man|woman|person|men|women|people)-(?!s-)", "", name)


group = list(range(len(records)))


def root(index):
    while group[index] != index:
        group[index] = group[group[index]]
        index = group[index]
    return index


first = {}
for index, name in enumerate(names):
    group[root(index)] = root(first.setdefault(genderless(name), index))
distance = distances(pixels, pixels)
for a, b in zip(*np.where(distance < NEAR)):
    group[root(a)] = root(b)
groups = collections.defaultdict(list)
for index in range(len(records)):
    groups[root(index)].append(index)

# 4
older = set(package("noto-v1", "icons.json")["icons"])
translated_genderless = {genderless(name) for name in translated}


def can_be_tested(name):
    if name.startswith("fxemoji:"):
        return False
    variant = genderless(name) != name and genderless(name) in translated_genderless
    return name not in older or name in translated or variant


free = [group for group in groups.values() if all(can_be_tested(names[index]) for index in group)]
free.sort(key=lambda group: hashlib.sha256(min(names[index] for index in group).encode()).hexdigest())
test = set()
for members in free:
    if len(test) >= len(records) // 10:
        break
    test.update(members)
train = [index for index in range(len(records)) if index not in test]
between = distance[np.ix_(sorted(test), train)].min()
print(f"{len(groups)} groups, {len(free)} free; {len(test)} images to test on, {between:.1f} from the nearest other")
assert between >= NEAR and not {names[i] for i in test} & {names[i] for i in train}

lines = "".join(f"{name}\t{'test' if index in test else 'train'}\n" for index, name in enumerate(names))
(here / "glyphs.tsv.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
print("SHA-256 of its contents:", hashlib.sha256(lines.encode()).hexdigest())
