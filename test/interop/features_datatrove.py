"""Measures texts with datatrove's own classes. Reads JSON lines {"text"} and writes JSON lines; `characters` as the
only argument: what Python says of every code point instead.

One thing is replaced: the word tokenizer, which splits at White_Space here, as word_count does, instead of by a
language's rules. Everything else is datatrove's code with its defaults.
"""

import json
import sys
import tempfile
import unicodedata

import regex

import datatrove.pipeline.stats.word_stats as word_stats
import datatrove.utils.word_tokenizers as word_tokenizers
from datatrove.data import Document
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter
from datatrove.pipeline.filters.gopher_repetition_filter import (
    GopherRepetitionFilter,
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.pipeline.stats.doc_stats import DocStats
from datatrove.pipeline.stats.line_stats import LineStats
from datatrove.pipeline.stats.paragraph_stats import ParagraphStats
from datatrove.pipeline.stats.word_stats import WordStats
from datatrove.utils.text import PUNCTUATION, PUNCTUATION_SET


class WhiteSpaceTokenizer:
    # V1: \p{White_Space} has U+0085 and not U+001C to U+001F, which str.split() splits at as well
    words = regex.compile(r"[^\p{White_Space}]+", regex.V1)

    def word_tokenize(self, text):
        return self.words.findall(text)


tokenizer = WhiteSpaceTokenizer()
word_tokenizers.load_word_tokenizer = lambda language: tokenizer
word_stats.load_word_tokenizer = lambda language: tokenizer


def verdict(text, filters):
    for each in filters:
        result = each.filter(Document(text=text, id="0"))
        if result is not True:
            return {"pass": False, "reason": result[1]}
    return {"pass": True, "reason": None}


def repetition(text):
    """The numbers that GopherRepetitionFilter compares, by its own functions."""
    words = tokenizer.word_tokenize(text)
    if not text:
        return {}
    paragraphs = regex.split(r"\n{2,}", text.strip())
    lines = regex.split("\n+", text)
    paragraph_count, paragraph_chars = find_duplicates(paragraphs)
    line_count, line_chars = find_duplicates(lines)
    values = {
        "quality_duplicate_paragraph_ratio": paragraph_count / len(paragraphs),
        "quality_duplicate_paragraph_char_ratio": paragraph_chars / len(text),
        "quality_duplicate_line_ratio": line_count / len(lines),
        "quality_duplicate_line_char_ratio": line_chars / len(text),
    }
    for n in (2, 3, 4):
        n_grams = get_n_grams(words, n)
        values[f"quality_top_{n}_gram_ratio"] = find_top_duplicate(n_grams) / len(text) if n_grams else 0
    for n in range(5, 11):
        values[f"quality_duplicate_{n}_gram_ratio"] = find_all_duplicate(words, n) / len(text)
    return values


def characters():
    """Runs of code points that are alike, of those that this Python's Unicode version assigns."""
    punctuation = set(PUNCTUATION)
    runs = []
    for point in range(0x110000):
        c = chr(point)
        if unicodedata.category(c) in ("Cn", "Cs"):
            continue
        flags = "".join(
            name
            for name, holds in (
                ("s", c.isspace()),
                ("a", c.isalpha()),
                ("d", c.isdigit()),
                ("u", c.isupper()),
                ("l", c.islower()),
                ("t", unicodedata.category(c) == "Lt"),
                ("p", c in punctuation),
                ("y", c in PUNCTUATION_SET),
            )
            if holds
        )
        if runs and runs[-1][1] == point - 1 and runs[-1][2] == flags:
            runs[-1][1] = point
        else:
            runs.append([point, point, flags])
    print(json.dumps({"unicode": unicodedata.unidata_version, "runs": runs}))


def measure():
    filters = [GopherQualityFilter(), GopherRepetitionFilter()]
    with tempfile.TemporaryDirectory() as folder:
        stats = [kind(folder) for kind in (DocStats, LineStats, ParagraphStats, WordStats)]
        for line in sys.stdin:
            text = json.loads(line)["text"]
            values = {}
            for each in stats:
                values.update(each.extract_stats(Document(text=text, id="0")))
            print(json.dumps({**verdict(text, filters), "statistics": values, "repetition": repetition(text)}))


if sys.argv[1:] == ["characters"]:
    characters()
else:
    measure()
