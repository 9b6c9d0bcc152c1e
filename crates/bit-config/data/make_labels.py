"""Writes imagenet_labels.zlib from the lists inside the timm package (1.0.31).

One line a synset, sorted by WordNet offset, which is the class order of both lists:

    <lists><difference to the line above's offset> TAB <name>

<lists> is 1 for ImageNet-1k only, 2 for ImageNet-21k only (21,843 classes, Google's order), 3 for both.
The name is WordNet's lemmas, as in the id2label of transformers' ImageNet models.

Usage: python make_labels.py
"""

import pathlib
import zlib

import timm

here = pathlib.Path(__file__).parent
info = pathlib.Path(timm.__file__).parent / "data" / "_info"


def lines(name):
    return (info / name).read_text(encoding="utf-8").splitlines()


names = dict(line.split("\t") for line in lines("imagenet_synset_to_lemma.txt"))
in_1k, in_21k = lines("imagenet_synsets.txt"), lines("imagenet21k_goog_synsets.txt")
assert in_1k == sorted(in_1k) and in_21k == sorted(in_21k) and len(in_1k) == 1000 and len(in_21k) == 21843

rows, previous = [], 0
set_1k, set_21k = set(in_1k), set(in_21k)
for synset in sorted(set_1k | set_21k):
    offset = int(synset.removeprefix("n"))
    rows.append(f"{(synset in set_1k) + 2 * (synset in set_21k)}{offset - previous}\t{names[synset]}\n")
    previous = offset
(here / "imagenet_labels.zlib").write_bytes(zlib.compress("".join(rows).encode("utf-8"), 9))
