"""Google's gRPC client in C, which is strict where Go's is lenient."""

import sys
import unittest

from support import protobuf
from support.processes import MARTLET, ROOT, Member, scratch
from support.protobuf import put_request, range_request

sys.path.insert(0, str(ROOT / ".tools/python"))
try:
    import grpc
except ImportError:
    grpc = None


@unittest.skipUnless(grpc, "grpcio is not in .tools/python: pip could not fetch it")
class GoogleClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "google", scratch("google")).start()
        cls.channel = grpc.insecure_channel(
            cls.member.endpoint, options=[("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        )

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.member.kill()

    def call(self, method, message, **options):
        options.setdefault("timeout", 10)
        return self.channel.unary_unary("/etcdserverpb.KV/" + method)(message, **options)

    def test_put_and_get(self):
        self.call("Put", put_request(b"g", b"v"))
        answer = protobuf.parse(self.call("Range", range_request(b"g")))
        self.assertEqual(protobuf.get(protobuf.parse(answer[2][0]), 5), b"v")

    def test_compression(self):
        for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
            self.call("Put", put_request(b"z", b"v" * 100_000), compression=compression)
        answer = protobuf.parse(self.call("Range", range_request(b"z"), compression=grpc.Compression.Gzip))
        self.assertEqual(len(protobuf.get(protobuf.parse(answer[2][0]), 5)), 100_000)

    def test_errors(self):
        for method, message, code, text in [
            ("Put", b"", grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: key is not provided"),
            (
                "Range",
                range_request(b"g", revision=1 << 40),
                grpc.StatusCode.OUT_OF_RANGE,
                "etcdserver: mvcc: required revision is a future revision",
            ),
            ("Put", put_request(b"g", b"v" * 3_000_000), grpc.StatusCode.RESOURCE_EXHAUSTED, None),
            ("Nothing", b"", grpc.StatusCode.UNIMPLEMENTED, None),
        ]:
            with self.assertRaises(grpc.RpcError) as caught:
                self.call(method, message)
            self.assertEqual(caught.exception.code(), code)
            if text:
                self.assertEqual(caught.exception.details(), text)

    def test_many_at_once(self):
        put = self.channel.unary_unary("/etcdserverpb.KV/" + "Put")
        calls = [put.future(put_request(f"at once/{number}", b"v" * 256), timeout=20) for number in range(2000)]
        revisions = {protobuf.get(protobuf.parse(protobuf.parse(call.result())[1][0]), 3) for call in calls}
        self.assertEqual(len(revisions), 2000)

    def test_cancellation(self):
        put = self.channel.unary_unary("/etcdserverpb.KV/" + "Put")
        for number in range(200):
            put.future(put_request(b"cancelled", str(number))).cancel()
        self.call("Put", put_request(b"after", b"v"))

    def test_a_large_answer(self):
        for number in range(20):
            self.call("Put", put_request(f"large/{number}", b"x" * 1_000_000))
        answer = protobuf.parse(self.call("Range", range_request(b"large/", b"large0")))
        self.assertEqual(len(answer[2]), 20)

    def test_health(self):
        answer = self.channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
        self.assertEqual(protobuf.parse(answer), {1: [1]})
        answer = self.channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=10)
        entry = protobuf.parse(protobuf.get(protobuf.parse(answer), 1))
        self.assertEqual((entry.get(1, [b""]), protobuf.parse(entry[2][0])), ([b""], {1: [1]}))


if __name__ == "__main__":
    unittest.main()
