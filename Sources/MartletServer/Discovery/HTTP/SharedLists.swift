import MVCC
import NIOCore

/// The lists that streams of one event loop were told last: who is told the same one gets the same bytes, so that a
/// change costs one list and not one for each stream. On that event loop.
final class SharedLists: @unchecked Sendable {  // used on its event loop only
    struct Told {
        var revision: Revision
        /// Stands for what is listed (64 bits, with a key of this process's own): the list itself, of each stream,
        /// would be much to keep.
        var mark: Int
        var event: ByteBuffer
    }

    let eventLoop: any EventLoop
    private let bytesMax: Int
    private var told: [ListQuery.Subject: Told] = [:]
    private var bytes = 0
    private var streams = 0

    init(eventLoop: any EventLoop, bytesMax: Int) {
        self.eventLoop = eventLoop
        self.bytesMax = bytesMax
    }

    /// Who enters leaves: the last one leaves nothing behind.
    func enter() { streams += 1 }

    func leave() {
        streams -= 1
        if streams == 0 { forget() }
    }

    private func forget() {
        told = [:]
        bytes = 0
    }

    /// A client asks for what it likes, and each has its entry.
    private static func bytes(of subject: ListQuery.Subject) -> Int {
        subject.tags.reduce(256 + (subject.service?.utf8.count ?? 0)) { $0 + 16 + $1.utf8.count }
    }

    /// The list as of `revision` or later.
    /// - Parameter directory: what is read unless the list has been read; as of `revision` or later.
    func list(
        _ query: ListQuery, since revision: Revision, in directory: ServiceDirectory
    ) throws(ReadError) -> Told {
        if let known = told[query.subject], known.revision >= revision { return known }
        let list = try ServiceList(query, in: directory)
        let new = Told(
            revision: list.revision, mark: list.content.hashValue, event: ServiceAnswer.event(list))
        if let old = told[query.subject] {
            bytes -= old.event.readableBytes
        } else {
            bytes += Self.bytes(of: query.subject)
        }
        bytes += new.event.readableBytes
        told[query.subject] = new
        if bytes > bytesMax { forget() }
        return new
    }
}
