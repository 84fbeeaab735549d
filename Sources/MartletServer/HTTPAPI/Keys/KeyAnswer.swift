import MVCC
import NIOCore

/// One key, as it is answered: raw, with what is known of it in the header, or as JSON.
struct KeyAnswer {
    private let pair: KeyValue
    private let revision: Revision
    var note = KeyNote()

    /// - Parameter revision: what has been read; in the header, it is where a wait goes on.
    init(_ pair: KeyValue, at revision: Revision) {
        self.pair = pair
        self.revision = revision
    }

    func response(asJSON: Bool) -> PlainResponse {
        var fields = Self.fields(of: pair) + Self.fields(ofRevision: revision.rawValue)
        fields.append(("vary", "accept"))
        guard asJSON else {
            // Whoever may write a value must not run a script in the name of this server.
            fields.append(("x-content-type-options", "nosniff"))
            fields.append(("content-security-policy", "sandbox"))
            return PlainResponse(
                status: 200, contentType: note.contentType ?? KeyNote.unknownType, body: ByteBuffer(bytes: pair.value),
                fields: fields)
        }
        var json = JSONBuffer(capacity: pair.value.count + 512)
        pair.withBorrowed { json.pair($0, contentType: note.contentType) }
        json.raw("\n")
        return PlainResponse(status: 200, contentType: "application/json", body: json.buffer, fields: fields)
    }

    static func fields(ofRevision revision: Int64) -> [(name: String, value: String)] {
        [("x-martlet-revision", "\(revision)")]
    }

    static func fields(of pair: KeyValue) -> [(name: String, value: String)] {
        fields(
            create: pair.createRevision, mod: pair.modRevision, version: pair.version, lease: pair.lease)
    }

    static func fields(
        create: Revision, mod: Revision, version: Int64, lease: LeaseID
    ) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = [
            ("etag", Conditions.tag(mod)), ("cache-control", "no-cache"),
            ("x-martlet-create-revision", "\(create.rawValue)"), ("x-martlet-mod-revision", "\(mod.rawValue)"),
            ("x-martlet-version", "\(version)"),
        ]
        if lease != .none { fields.append(("x-martlet-lease", "\(lease.rawValue)")) }
        return fields
    }
}
