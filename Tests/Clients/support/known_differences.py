"""What may differ between martlet and etcd 3.5.1, and why. Documentation/differences.md tells it to people, by the same
names. Each has an example that must still differ, so that the list stays true."""

import dataclasses

from support.sequences import CLUSTER, ELECTION, FUTURE, KV, LEASE, MAINTENANCE, WATCH, Ref, Step


@dataclasses.dataclass(frozen=True)
class Known:
    name: str
    reason: str
    # Whether a difference of a random sequence is this one; None: no random sequence asks for it.
    fits: object
    example: tuple
    gateway: bool = False
    # Whether the two are no longer alike after it.
    ends: bool = False


def _is_error(answer, *texts):
    return answer.kind == "error" and (not texts or any(text in str(answer.content) for text in texts))


_TXN_CHECKS = ("key not found", "requested lease not found", "future revision", "has been compacted")


def _txn_order(difference):
    etcd, martlet = difference.answers
    return (
        difference.step.method == KV + "Txn"
        and _is_error(etcd, *_TXN_CHECKS)
        and _is_error(martlet, *_TXN_CHECKS)
        and etcd.content != martlet.content
    )


def _http(difference):
    """(etcd's, martlet's) parts of an HTTP error: status, type, body."""
    if difference.step.kind != "http" or {answer.kind for answer in difference.answers} != {"error"}:
        return None
    return tuple(answer.content for answer in difference.answers)


def _wrong_verb(difference):
    pair = _http(difference)
    return pair and pair[0][0] == 405 and pair[1][0] == 501 and pair[1][2] == _body(12, "Method Not Allowed")


def _unknown_path(difference):
    pair = _http(difference)
    return pair and pair[0][0] == pair[1][0] == 404 and "text/plain" in pair[0][1] and (
        pair[1][2] == _body(5, "Not Found"))


def _not_json(difference):
    """Status and code agree; the words are those of a parser."""
    pair = _http(difference)
    return pair and pair[0][0] == pair[1][0] == 400 and all(
        isinstance(part[2], dict) and part[2].get("code") == 3 and set(part[2]) == {"error", "code", "message"}
        for part in pair)


def _options(difference):
    pair = _http(difference)
    return difference.step.method.startswith("OPTIONS ") and pair and pair[0][0] == pair[1][0] == 200


def _enum_name(difference):
    etcd, martlet = difference.answers
    return difference.step.kind == "http" and martlet.kind == "ok" and _is_error(etcd, "for enum")


def _unpadded(difference):
    etcd, martlet = difference.answers
    return difference.step.kind == "http" and martlet.kind == "ok" and _is_error(etcd, "illegal base64 data")


def _hash_of_compacted(difference):
    etcd, martlet = difference.answers
    return difference.step.method == MAINTENANCE + "HashKV" and martlet.kind == "ok" and _is_error(etcd, "compacted")


def _learner_updated(difference):
    return difference.step.method.startswith(CLUSTER) and difference.where.endswith(".isLearner") and (
        difference.answers[1].kind == "ok")


_REFUSED_BY_ALARM = ("database space exceeded", "corrupt cluster")


def _two_alarms(difference):
    etcd, martlet = difference.answers
    asked = sum("Alarm" in step.method or step.method.endswith("/alarm") for step in difference.before)
    return asked >= 2 and _is_error(martlet, *_REFUSED_BY_ALARM) and etcd.content != martlet.content


def _body(code, message):
    return {"error": message, "code": code, "message": message}


def _range(**options):
    return Step("call", KV + "Range", {"key": b"a", "range_end": b"z", **options})


KNOWN_DIFFERENCES = [
    Known(
        "which mistake of a transaction is named",
        "the first in the order of its operations, as since 3.6; 3.5.1 looks at all puts before the ranges",
        _txn_order,
        (Step("call", KV + "Txn", {"success": [
            {"request_range": {"key": b"a", "revision": FUTURE}},
            {"request_put": {"key": b"none", "ignore_value": True}},
        ]}),),
    ),
    Known(
        "an unknown sort order",
        "`invalid sort option`, as since 3.6; 3.5.1 does not see it (and dies of an unknown sort target)",
        None,
        (_range(sort_order=7),),
    ),
    Known(
        "an empty range_end that is sent",
        "is none, as proto3 has it; etcd takes it for the end of all keys. No client sends one",
        None,
        (Step("call", KV + "Put", {"key": b"b"}), Step("call", KV + "Range", {"key": b"a", "range_end": b""})),
    ),
    Known(
        "a watch from before revision 0",
        "is refused at once with the reason, as since 3.6.6; 3.5.1 creates it and cancels it as compacted",
        None,
        (Step("watch", WATCH, {"create_request": {"key": b"a", "start_revision": -1}}, slot="w"),),
    ),
    Known(
        "a watch stream's progress",
        "is told when it can be promised, as since 3.5.8, so not while a watcher waits for a revision to come; 3.5.1 "
        "answers at once. Random sequences want martlet's answers to be no more, and none older, than etcd's",
        None,
        (Step("watch", WATCH, {"create_request": {"key": b"a", "start_revision": Ref("revision", 50)}}, slot="w"),
         Step("watch", WATCH, {"progress_request": {}}, slot="w")),
    ),
    Known(
        "peer URLs that are none",
        "are refused in MemberUpdate as in MemberAdd; etcd takes whatever it is given, for good",
        None,
        (Step("call", CLUSTER + "MemberAdd", {"peerURLs": ["http://127.0.0.1:7"], "isLearner": True}),
         Step("call", CLUSTER + "MemberUpdate", {"ID": Ref("member", 1), "peerURLs": ["nonsense"]})),
    ),
    Known(
        "a learner whose peer URLs are updated",
        "stays a learner in the list; 3.5.1 shows a voter",
        _learner_updated,
        (Step("call", CLUSTER + "MemberAdd", {"peerURLs": ["http://127.0.0.1:7"], "isLearner": True}),
         Step("call", CLUSTER + "MemberUpdate", {"ID": Ref("member", 1), "peerURLs": ["http://127.0.0.1:8"]})),
    ),
    Known(
        "a delete at the very revision that is compacted",
        "is told to a watch that starts there, as in later versions (etcd issue 19179); 3.5.1 has lost it",
        None,
        (Step("call", KV + "Put", {"key": b"a"}), Step("call", KV + "DeleteRange", {"key": b"a"}),
         Step("call", KV + "Compact", {"revision": Ref("revision", 2), "physical": True}),
         Step("watch", WATCH, {"create_request": {"key": b"a", "start_revision": Ref("revision", 2)}}, slot="w")),
    ),
    Known(
        "two alarms at a time",
        "are both in force, and the corruption is told; 3.5.1 obeys the one that was raised last, and when one is taken "
        "back neither, until a restart",
        _two_alarms,
        (Step("call", MAINTENANCE + "Alarm", {"action": 1, "alarm": 1}),
         Step("call", MAINTENANCE + "Alarm", {"action": 1, "alarm": 2}),
         Step("call", MAINTENANCE + "Alarm", {"action": 2, "alarm": 1}),
         Step("call", KV + "Put", {"key": b"a"})),
        ends=True,
    ),
    Known(
        "an election's leader that names no lease",
        "costs none: its key keeps the lease that it has. etcd makes one of 60 s and leaves it behind",
        None,
        (Step("call", ELECTION + "Resign", {"leader": {}}), Step("call", LEASE + "LeaseLeases", {})),
    ),
    Known(
        "the name of an enum's value that it has not",
        "is taken for none by the gateway, as since 3.6; 3.5.1 refuses it",
        _enum_name,
        (Step("http", "POST /v3/kv/range", '{"key":"YQ==","sort_order":"SIDEWAYS"}'),),
        gateway=True,
    ),
    Known(
        "Base64 without its padding",
        "is taken by the gateway, as since 3.6 (protojson); 3.5.1 refuses it",
        _unpadded,
        (Step("http", "POST /v3/kv/range", '{"key":"YQ"}'),),
        gateway=True,
    ),
    Known(
        "the hash at the very revision that is compacted",
        "is told, as in 3.6: the data of that revision is there; 3.5.1 calls it compacted",
        _hash_of_compacted,
        (Step("call", MAINTENANCE + "HashKV", {"revision": Ref("revision", 0)}),),
    ),
    Known(
        "a verb other than POST at the gateway",
        "501 with a JSON body, as since 3.6; 3.5.1 answers 405 in plain text",
        _wrong_verb,
        (Step("http", "PUT /v3/kv/range", ""),),
        gateway=True,
    ),
    Known(
        "a path that the gateway has not",
        "404 with a JSON body, as since 3.6; 3.5.1 answers in plain text",
        _unknown_path,
        (Step("http", "POST /v3/nonsense", "{}"),),
        gateway=True,
    ),
    Known(
        "what the gateway says of a body that is no JSON",
        "status and code are the same; the words are the parser's, etcd's those of Go's",
        _not_json,
        (Step("http", "POST /v3/kv/range", "[]"),),
        gateway=True,
    ),
    Known(
        "the type of an empty answer to OPTIONS",
        "is given; there is nothing of it",
        _options,
        (Step("http", "OPTIONS /v3/kv/range", ""),),
        gateway=True,
    ),
]
