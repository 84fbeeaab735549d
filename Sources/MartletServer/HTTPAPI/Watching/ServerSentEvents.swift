import EtcdAPI
import MVCC
import NIOCore

/// The format of `text/event-stream` (WHATWG HTML, section 9.2).
///
/// An event's id is its revision, and only the last event of a revision has one: a client that was cut off within a
/// revision goes on behind the one before, and gets the whole of it again, instead of missing its rest.
enum ServerSentEvents {
    /// - Parameter events: whole revisions, in their order.
    static func text(of events: [WireEvent<[UInt8]>], withValue: Bool) -> ByteBuffer {
        var text = JSONBuffer(capacity: 512)
        for (place, event) in events.enumerated() {
            let revision = event.kv?.modRevision ?? 0
            text.raw(event.isDelete ? "event: delete\n" : "event: put\n")
            if place + 1 == events.count || events[place + 1].kv?.modRevision != revision {
                text.raw("id: \(revision)\n")
            }
            // JSON has no line breaks: one field is enough.
            text.raw("data: ")
            text.event(event, withValue: withValue)
            text.raw("\n\n")
        }
        return text.buffer
    }

    /// - Parameter json: without line breaks.
    static func event(_ name: String, at revision: Revision, json: [UInt8]) -> ByteBuffer {
        var text = ByteBuffer(string: "event: \(name)\nid: \(revision.rawValue)\ndata: ")
        text.writeBytes(json)
        text.writeString("\n\n")
        return text
    }

    /// Without data it is no event: it says from where to go on, should the stream break.
    static func place(_ revision: Int64) -> ByteBuffer { ByteBuffer(string: "id: \(revision)\n\n") }

    static let heartbeat = ByteBuffer(string: ":\n\n")

    static func begin(reconnectTime: TimeAmount) -> ByteBuffer {
        ByteBuffer(string: "retry: \(reconnectTime.nanoseconds / 1_000_000)\n\n")
    }

    static func compacted(_ revision: Revision) -> ByteBuffer {
        ByteBuffer(string: "event: compacted\ndata: {\"compact_revision\":\(revision.rawValue)}\n\n")
    }
}
