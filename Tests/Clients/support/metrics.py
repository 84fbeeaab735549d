"""Prometheus' text format 0.0.4, read strictly: what a lenient reader would pass over is an error here."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
_SAMPLE = re.compile(rf"^({_NAME})(?:\{{((?:{_LABEL})(?:,{_LABEL})*)\}})? (\S+)$")
_KINDS = {"counter", "gauge", "histogram"}


class Family:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.samples = {}  # (name, labels) -> value

    def value(self, suffix="", **labels):
        return self.samples[self.name + suffix, tuple(sorted(labels.items()))]


def parse(text):
    """The families of a scrape by name; raises ValueError with the line that is wrong."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    families, family, helped = {}, None, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            if helped in families or not re.fullmatch(_NAME, helped) or not line.split(" ", 3)[3]:
                raise ValueError(line)
            family = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != helped or kind not in _KINDS:
                raise ValueError(line)
            family = families[name] = Family(name, kind)
        else:
            _sample(line, family)
    for family in families.values():
        if not family.samples:
            raise ValueError(f"{family.name} has no samples")
        if family.kind == "histogram":
            _check_histogram(family)
    return families


def _sample(line, family):
    match = _SAMPLE.match(line)
    if not match or family is None:
        raise ValueError(line)
    name, labels = match[1], re.findall(_LABEL, match[2] or "")
    suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    if name not in {family.name + suffix for suffix in suffixes}:
        raise ValueError(f"{line} in {family.name}")
    value = float(match[match.re.groups])
    if family.kind != "gauge" and not value >= 0:
        raise ValueError(line)
    key = name, tuple(sorted(labels))
    if key in family.samples or len(dict(labels)) != len(labels):
        raise ValueError(f"twice: {line}")
    family.samples[key] = value


def _check_histogram(family):
    buckets = {}
    for (name, labels), value in family.samples.items():
        if name.endswith("_bucket"):
            rest = tuple(label for label in labels if label[0] != "le")
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for labels, found in buckets.items():
        if found != sorted(found) or [count for _, count in found] != sorted(count for _, count in found):
            raise ValueError(f"{family.name} {labels}: buckets do not add up")
        if found[-1][0] != float("inf") or found[-1][1] != family.samples[family.name + "_count", labels]:
            raise ValueError(f"{family.name} {labels}: the last bucket is not the count")
        if (family.name + "_sum", labels) not in family.samples:
            raise ValueError(f"{family.name} {labels}: no sum")
