"""Random sequences of requests, the same to etcd 3.5.1 and to martlet; their answers must be the same, field by field.

    python3 differential.py [--seed N] [--sequences N] [--seconds N] [--gateway] [--members N] [--only I]
                            [--families kv,watch,...] [--quiet]

Sequence I of seed N is the same on every machine. A difference that does not come again when its sequence is played
again is counted, not reported; one that does is printed with the shortest sequence that still shows it. What may differ
is in `support/known_differences.py`, each with its reason, and in Documentation/differences.md.
"""

import argparse
import collections
import dataclasses
import os
import random
import sys
import time
import unittest

from support.known_differences import KNOWN_DIFFERENCES
from support.playing import Player
from support.processes import ETCD, MARTLET, ROOT, scratch
from support.sequences import FLAGS, WATCH, Generator, shown

# One run of `make test-clients`; longer by DIFFERENTIAL_SECONDS or by hand.
SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "45"))
SEED = int(os.environ.get("SEED", "1"))
SHRINK_SECONDS = 12
SETTLE_SECONDS = 1.5
# How often a difference must come again to be one.
CONFIRMATIONS = 2
NAMES = ("etcd", "martlet")


@dataclasses.dataclass
class Difference:
    at: int
    step: object
    answers: tuple
    where: str
    known: object = None
    # The steps before this one.
    before: tuple = ()

    @property
    def signature(self):
        """What makes two differences one: the method, and where they part."""
        where = "".join(letter for letter in self.where if not letter.isdigit())
        kinds = tuple(
            answer.content if answer is not None and answer.kind == "error" else getattr(answer, "kind", None)
            for answer in self.answers
        )
        return (self.step.method, where, repr(kinds))


def first_difference(one, other, path=""):
    """Where two contents part, and the two parts; None where they do not. A TTL may be a second off."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}, key=str):
            if key not in one or key not in other:
                return f"{path}.{key}", one.get(key, "<absent>"), other.get(key, "<absent>")
            found = first_difference(one[key], other[key], f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        for at, (left, right) in enumerate(zip(one, other)):
            found = first_difference(left, right, f"{path}[{at}]")
            if found:
                return found
        if len(one) != len(other):
            at = min(len(one), len(other))
            left, right = (part[at] if at < len(part) else "<absent>" for part in (one, other))
            return f"{path}[{at}]", left, right
        return None
    if path.endswith(".TTL") and type(one) is type(other) is int and one > 0 and other > 0 and abs(one - other) <= 1:
        return None
    return None if one == other and type(one) is type(other) else (path, one, other)


def without_progress(history):
    return {key: part for key, part in history.items() if key != "progress"}


def progress_difference(etcd, martlet):
    """etcd 3.5.1 answers each request at once, whether the watchers are behind or there are none; since 3.5.8 an answer
    is a promise, and comes when it can be kept. So martlet's are no more than etcd's, and none is older."""
    asked = etcd["progress"][len(etcd["progress"]) - len(martlet["progress"]) :]
    if len(asked) == len(martlet["progress"]) and all(
        ours >= first for ours, first in zip(martlet["progress"], etcd["progress"])
    ):
        return None
    return ".progress", etcd["progress"], martlet["progress"]


class Pair:
    """etcd and martlet, begun alike again and again."""

    def __init__(self, gateway=False, members=1, programs=(ETCD, MARTLET)):
        self.gateway, self.members, self.programs = gateway, members, programs
        self.requests = 0
        self.parted = 0
        # What etcd refused, and how often.
        self.errors = collections.Counter()
        self.step = None
        self.open()

    def open(self):
        directory = scratch("differential-gateway" if self.gateway else "differential")
        self.players = [
            Player(name, program, directory, self.members, FLAGS + (["--unsafe-no-fsync"] if program == ETCD else []),
                   self.gateway)
            for name, program in zip(NAMES, self.programs)
        ]
        for player in self.players:
            player.wait_ready()

    def close(self):
        for player in self.players:
            player.close()

    def begin(self):
        revision = max(player.clear() for player in self.players) + 1
        while True:
            revisions = [player.level(revision) for player in self.players]
            if revisions[0] == revisions[1]:
                break
            revision = max(revisions) + 1
        for player in self.players:
            player.begin(revisions[0])

    def play(self, steps, is_progress_compared=False):
        """As `_play`; a member that dies of a sequence is a difference too, after which both begin anew."""
        try:
            self.begin()
        except (OSError, AssertionError):
            self.close()
            self.open()
            self.begin()
        self.is_progress_compared = is_progress_compared
        try:
            found = self._play(steps)
            if self.members > 1:
                etcd, martlet = [len(set(player.revisions())) == 1 for player in self.players]
                if not martlet:
                    found.append(Difference(len(steps), steps[-1], tuple(map(Death, self.players)), "members agree"))
                elif not etcd:
                    # 3.5.1's can part: it may refuse a transaction where it was asked and apply it elsewhere.
                    self.parted += 1
                    self.close()
                    self.open()
                    return []
            return found
        except (OSError, AssertionError):
            dead = [all(member.is_running for member in player.members) for player in self.players]
            if all(dead):
                raise
            step = next((step for step in steps if step is self.step), steps[-1])
            answers = tuple(Death(player) for player in self.players)
            self.close()
            self.open()
            return [self.judged(Difference(steps.index(step), step, answers, "alive"))]

    def _play(self, steps):
        """The differences, up to the first one that is not known; known ones end it too when the revisions part."""
        found, streams = [], []
        for at, step in enumerate(steps):
            self.step = step
            if step.kind == "watch" and "cancel_request" in step.message and step.slot in streams:
                difference = self.settle(at, step, step.slot)
                if difference:
                    return found + [difference]
            answers = tuple(player.play(step) for player in self.players)
            self.requests += 1
            if answers[0].kind == "error":
                body = answers[0].content[-1]
                self.errors[body.get("message", "?") if isinstance(body, dict) else body] += 1
            if step.kind == "watch" and step.slot not in streams:
                streams.append(step.slot)
            difference = self.compare(at, step, answers, steps[:at])
            if difference:
                found.append(difference)
                if difference.known is None or difference.known.ends or not self.is_level():
                    return found
        for slot in streams:
            last = next(step for step in reversed(steps) if step.slot == slot)
            difference = self.settle(len(steps), last, slot, streams)
            if difference:
                found.append(difference)
                if difference.known is None:
                    return found
        return found

    def compare(self, at, step, answers, before):
        place = first_difference(*((answer.kind, answer.content) for answer in answers))
        if place is None:
            return None
        return self.judged(Difference(at, step, answers, place[0], before=tuple(before)))

    def judged(self, difference):
        difference.known = next(
            (known for known in KNOWN_DIFFERENCES if known.fits and known.fits(difference)), None
        )
        return difference

    def is_level(self):
        etcd, martlet = (player.revisions()[0] for player in self.players)
        return etcd == martlet

    def settle(self, at, step, slot, streams=()):
        """Waits until both have told the same on a watch stream, and nothing more for a while."""
        end, same = time.monotonic() + SETTLE_SECONDS, 0
        while True:
            histories = [player.watching(slot) for player in self.players]
            if self.is_progress_compared:
                place = first_difference(*histories)
            else:
                place = first_difference(*map(without_progress, histories)) or progress_difference(*histories)
            same = 0 if place else same + 1
            if same >= 2:
                return None
            if time.monotonic() > end:
                return self.judged(Difference(at, step, tuple(map(History, histories)), place[0] if place else "?"))
            time.sleep(0.02 if place else 0.06)


class History:
    kind = "history"

    def __init__(self, content):
        self.content = content

    def __repr__(self):
        return str(self.content)


class Death:
    """What became of a server's members."""

    kind = "process"

    def __init__(self, player):
        ended = [member for member in player.members if not member.is_running]
        panic = [line for member in ended for line in member.log().splitlines() if line.startswith(("panic:", "Fatal"))]
        said = (panic or [ended[0].last_log()])[0][:200] if ended else ""
        self.content = f"ended: {said}" if ended else f"lives, at revisions {player.revisions()}"

    def __repr__(self):
        return self.content


# MARK: making it shorter


def unknown(differences):
    return next((difference for difference in differences if difference.known is None), None)


def shrunk(pair, steps, signature, seconds=SHRINK_SECONDS):
    """The shortest sequence found in the time that still shows this difference, and the difference."""
    end = time.monotonic() + seconds
    best = [None]

    def shows(candidate):
        difference = unknown(pair.play(candidate))
        if difference is None or difference.signature != signature:
            return False
        best[0] = difference
        return True

    if not shows(steps):
        return steps, None
    steps = steps[: best[0].at + 1]
    size = max(1, len(steps) // 2)
    while size:
        at = 0
        while at < len(steps) and time.monotonic() < end:
            shorter = steps[:at] + steps[at + size :]
            if shorter and shows(shorter):
                steps = shorter
            else:
                at += size
        size //= 2
    # And each request with as few fields as it needs.
    at = 0
    while at < len(steps) and time.monotonic() < end:
        for message in simpler(steps[at].message):
            candidate = steps[:at] + [dataclasses.replace(steps[at], message=message)] + steps[at + 1 :]
            if shows(candidate):
                steps = candidate
                break
            if time.monotonic() > end:
                break
        else:
            at += 1
    shows(steps)
    return steps, best[0]


def simpler(message):
    """A message without one of its parts, one at a time."""
    if isinstance(message, dict):
        for key in message:
            yield {name: part for name, part in message.items() if name != key}
        for key, part in message.items():
            for less in simpler(part):
                yield {**message, key: less}
    elif isinstance(message, list):
        for at in range(len(message)):
            yield message[:at] + message[at + 1 :]
        for at, part in enumerate(message):
            for less in simpler(part):
                yield message[:at] + [less] + message[at + 1 :]


# MARK: a run


class Run:
    def __init__(self, pair, seed, families=None, report=print):
        self.pair, self.seed, self.families, self.report = pair, seed, families, report
        self.found = {}
        self.known = {}
        self.unconfirmed = 0
        self.sequences = 0
        self.slowest = (0.0, None)

    def steps(self, index):
        kind = "gateway" if self.pair.gateway else "grpc"
        return Generator(
            random.Random(f"{kind} {self.seed} {index}"), self.pair.gateway, self.pair.members, self.families
        ).sequence()

    def one(self, index):
        steps = self.steps(index)
        self.sequences += 1
        begin = time.monotonic()
        differences = self.pair.play(steps)
        self.slowest = max(self.slowest, (time.monotonic() - begin, index))
        for difference in differences:
            if difference.known:
                self.known[difference.known.name] = self.known.get(difference.known.name, 0) + 1
        difference = unknown(differences)
        if difference is None:
            return
        signature = difference.signature
        if signature in self.found:
            self.found[signature][0] += 1
            return
        for _ in range(CONFIRMATIONS):
            again = unknown(self.pair.play(steps))
            if again is None or again.signature != signature:
                self.unconfirmed += 1
                return
        short, seen = shrunk(self.pair, steps, signature)
        text = self.text(index, short, seen or difference)
        self.found[signature] = [1, text]
        self.report(text)

    def text(self, index, steps, difference):
        way = ("--gateway " if self.pair.gateway else "") + (
            f"--members {self.pair.members} " if self.pair.members > 1 else "")
        lines = [f"A difference, sequence {index} of seed {self.seed} ({way}--seed {self.seed} --only {index}):"]
        lines += [f"    {step}" for step in steps]
        lines.append(f"  at {difference.step.method or difference.step.slot} {difference.where}")
        lines += [f"    {name}: {shown_answer(answer)}" for name, answer in zip(NAMES, difference.answers)]
        return "\n".join(lines)

    def until(self, seconds=None, sequences=None, first=0):
        begin, index = time.monotonic(), first
        while (sequences is None or index < first + sequences) and (
            seconds is None or time.monotonic() - begin < seconds
        ):
            self.one(index)
            index += 1
        return self

    def summary(self):
        known = ", ".join(f"{name} {count}" for name, count in sorted(self.known.items())) or "none"
        times = sum(count for count, _ in self.found.values())
        return (f"{self.sequences} sequences, {self.pair.requests} steps; "
                f"{len(self.found)} differences ({times} times), {self.unconfirmed} that did not come again; "
                f"known ones: {known}; slowest {self.slowest[0]:.1f} s, sequence {self.slowest[1]}"
                + (f"; etcd's members parted {self.pair.parted} times" if self.pair.parted else ""))


def shown_answer(answer):
    return f"{answer.kind} {shown(answer.content)}" if answer is not None else "nothing"


# MARK: tests


class KnownDifferences(unittest.TestCase):
    def test_they_still_differ(self):
        for gateway in (False, True):
            pair = Pair(gateway)
            try:
                for known in KNOWN_DIFFERENCES:
                    if known.gateway == gateway:
                        with self.subTest(known.name):
                            found = pair.play(list(known.example), is_progress_compared=True)
                            self.assertTrue(found, "no longer differs: remove it")
                            if known.fits:
                                self.assertIs(found[0].known, known, found[0].answers)
            finally:
                pair.close()

    def test_people_are_told(self):
        text = (ROOT / "Documentation/differences.md").read_text().replace("\n", " ").lower()
        for known in KNOWN_DIFFERENCES:
            self.assertIn(known.name.lower(), text)


class Differential(unittest.TestCase):
    def run_pair(self, **options):
        pair = Pair(**options)
        try:
            run = Run(pair, SEED, report=lambda text: None).until(seconds=SECONDS)
        finally:
            pair.close()
        print(f"\n{self.id()}: {run.summary()}")
        self.assertGreater(run.sequences, 10)
        if run.found:
            self.fail("\n\n".join(text for _, text in run.found.values()))

    def test_grpc(self):
        self.run_pair()

    def test_gateway(self):
        self.run_pair(gateway=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--sequences", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--gateway", action="store_true")
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--families")
    parser.add_argument("--against-itself", action="store_true", help="etcd on both sides: the test of the test")
    parser.add_argument("--quiet", action="store_true", help="the sequences with --only are not printed")
    arguments = parser.parse_args()
    programs = (ETCD, ETCD) if arguments.against_itself else (ETCD, MARTLET)
    pair = Pair(arguments.gateway, arguments.members, programs)
    try:
        run = Run(pair, arguments.seed, arguments.families and arguments.families.split(","),
                  lambda text: print(text, "\n", flush=True))
        if arguments.only is not None:
            if not arguments.quiet:
                print("\n".join(map(str, run.steps(arguments.only))))
            run.until(sequences=1, first=arguments.only)
        else:
            seconds = arguments.seconds or (None if arguments.sequences else 60)
            run.until(seconds, arguments.sequences)
    finally:
        pair.close()
    print(run.summary())
    if not arguments.quiet:
        print("what etcd refused:")
        for text, count in pair.errors.most_common():
            print(f"  {count:5} {text[:100]}")
    sys.exit(1 if run.found else 0)


if __name__ == "__main__":
    main()
