import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// The hand codecs against the generated code, which is taken to be right.
struct WireDifferentialTests {
    private func checkRoundTrip<Message: Twin>(_ type: Message.Type, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for round in 0..<1_000 {
            let original = Message.random(&random)
            let bytes: [UInt8] = try original.serializedBytes()
            try bytes.withUnsafeBytes { raw in
                let view = try Message(decoding: raw)
                #expect(view.generated == original, "\(type) round \(round) is decoded to something else")
                #expect(view.encodedSize == bytes.count, "\(type) round \(round) says a wrong size")
                #expect(view.encoded() == bytes, "\(type) round \(round) is encoded to other bytes")
                var appended: [UInt8] = [0xff]
                view.encode(into: &appended)
                #expect(appended == [0xff] + bytes)
            }
        }
    }

    @Test(arguments: twins.indices)
    func `what SwiftProtobuf writes is read, and written again to the byte`(index: Int) throws {
        try checkRoundTrip(twins[index], seed: UInt64(index))
    }

    private func checkMerge<Message: Twin>(_ type: Message.Type, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for round in 0..<500 {
            let bytes: [UInt8] =
                try Message.random(&random).serializedBytes() + Message.random(&random).serializedBytes()
            guard type != WatchCreateRequestView.self, type != WatchRequestView.self else { continue }
            #expect(try decode(type, bytes).get() == reference(type, bytes), "\(type) round \(round)")
        }
    }

    @Test(arguments: twins.indices)
    func `two messages one after the other merge as proto3 says`(index: Int) throws {
        try checkMerge(twins[index], seed: 1_000 + UInt64(index))
    }

    /// One random message with up to three random wounds.
    private func wounded<Message: Twin>(_ type: Message.Type, _ random: inout SeededRandom) throws -> [UInt8] {
        var bytes: [UInt8] = try Message.random(&random).serializedBytes()
        for _ in 0...Int.random(in: 0..<3, using: &random) {
            let at = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where !bytes.isEmpty: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where !bytes.isEmpty: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeSubrange(at...)
            case 3 where !bytes.isEmpty: bytes.remove(at: at)
            case 4: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
            default:
                // An unknown field, groups among them.
                let field: [[UInt8]] = [
                    [0xa0, 0x06, 0x81, 0x01], [0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06], [0xa2, 0x06, 0x01, 0x00],
                    [0xa5, 0x06, 1, 2, 3, 4], [0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
                ]
                bytes.insert(contentsOf: field[Int.random(in: 0..<field.count, using: &random)], at: at)
            }
        }
        return bytes
    }

    private func checkVerdict<Message: Twin>(_ type: Message.Type, _ bytes: [UInt8], _ tally: inout Tally) {
        switch decode(type, bytes) {
        case .success(let message):
            tally.accepted += 1
            if type == WatchCreateRequestView.self || type == WatchRequestView.self { return }
            if type == EventView.self || type == WatchResponseView.self { return checkEvents(type, bytes) }
            #expect(reference(type, bytes) == message, "\(type) \(bytes)")
        case .failure(.wrongWireType):
            // SwiftProtobuf takes such a field for an unknown one, etcd refuses it, and so do we.
            tally.wrongType += 1
        case .failure(.varintTooLong):
            // SwiftProtobuf drops what is beyond 64 bits; protobuf-go, and so etcd from 3.7 on, refuses it, and so do
            // we.
            tally.refused += 1
        case .failure(let error):
            tally.refused += 1
            #expect(reference(type, bytes) == nil, "\(type) refused with \(error): \(bytes)")
        }
    }

    /// An event type that is neither put nor delete counts as a put here, and is kept as a number there: only the
    /// verdict is compared.
    private func checkEvents<Message: Twin>(_ type: Message.Type, _ bytes: [UInt8]) {
        #expect(reference(type, bytes) != nil, "\(type) \(bytes)")
    }

    private struct Tally {
        var accepted = 0
        var refused = 0
        var wrongType = 0
    }

    private func checkFuzz<Message: Twin>(_ type: Message.Type, seed: UInt64) throws -> Tally {
        var random = SeededRandom(seed: seed)
        var tally = Tally()
        for _ in 0..<1_000 { checkVerdict(type, try wounded(type, &random), &tally) }
        for _ in 0..<500 {
            let noise = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            checkVerdict(type, noise, &tally)
        }
        return tally
    }

    @Test(arguments: twins.indices)
    func `wounded and random bytes never crash, and are judged as SwiftProtobuf judges them`(index: Int) throws {
        let tally = try checkFuzz(twins[index], seed: 2_000 + UInt64(index))
        #expect(tally.accepted > 100 && tally.refused > 100 && tally.wrongType > 10, "the fuzz is one-sided: \(tally)")
    }
}
