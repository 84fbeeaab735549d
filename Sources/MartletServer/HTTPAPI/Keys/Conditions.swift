import MVCC

/// `If-Match` and `If-None-Match` (RFC 9110 section 13). The entity tag of a key is its mod revision in quotes, so that
/// they are comparisons of the transaction that writes.
struct Conditions: Hashable, Sendable {
    enum Tags: Hashable, Sendable {
        /// `*`: whatever there is.
        case any
        /// Those that can be a key's; others are equal to none.
        case revisions([Int64])
    }

    var match: Tags?
    var noneMatch: Tags?

    var isEmpty: Bool { match == nil && noneMatch == nil }

    enum Verdict: Hashable, Sendable {
        case met
        /// `If-Match`: it is another one now, or none.
        case changed
        /// `If-None-Match`: it is one of those.
        case unchanged
    }

    init() {}

    init(_ request: PlainRequest, limits: HTTPAPILimits = HTTPAPILimits()) throws(APIError) {
        // A weak tag is equal to nothing where it has to be strongly so (section 8.8.3.2).
        match = try Self.tags("if-match", request, weakCounts: false, limits)
        noneMatch = try Self.tags("if-none-match", request, weakCounts: true, limits)
    }

    static func tag(_ revision: Revision) -> String { "\"\(revision.rawValue)\"" }

    // MARK: Judging

    /// - Parameter revision: nil: there is no such key.
    func verdict(of revision: Revision?) -> Verdict {
        func isAmong(_ tags: Tags) -> Bool {
            guard let revision else { return false }
            switch tags {
            case .any: return true
            case .revisions(let revisions): return revisions.contains(revision.rawValue)
            }
        }
        if let match, !isAmong(match) { return .changed }
        if let noneMatch, isAmong(noneMatch) { return .unchanged }
        return .met
    }

    /// Comparisons cannot say "one of several", and no number says "never".
    var needsLook: Bool {
        if case .revisions(let revisions)? = match { return revisions.count != 1 }
        return false
    }

    /// The same for a key that was seen and met them: it must not have changed since.
    func narrowed(to revision: Revision) -> Conditions {
        var narrowed = self
        narrowed.match = .revisions([revision.rawValue])
        return narrowed
    }

    /// All of them hold if the conditions are met.
    func comparisons(of key: [UInt8]) -> [Comparison] {
        let range = KeyRange(key: key)
        var comparisons: [Comparison] = []
        switch match {
        case .any: comparisons.append(Comparison(range, .notEqual, .createRevision(0)))
        case .revisions(let revisions):
            for revision in revisions { comparisons.append(Comparison(range, .equal, .modRevision(revision))) }
        case nil: break
        }
        switch noneMatch {
        case .any: comparisons.append(Comparison(range, .equal, .createRevision(0)))
        case .revisions(let revisions):
            for revision in revisions { comparisons.append(Comparison(range, .notEqual, .modRevision(revision))) }
        case nil: break
        }
        return comparisons
    }

    // MARK: Reading them

    private static func tags(
        _ name: String, _ request: PlainRequest, weakCounts: Bool, _ limits: HTTPAPILimits
    ) throws(APIError) -> Tags? {
        let values = request.values(name)
        guard !values.isEmpty else { return nil }
        var rest = Array(values.joined(separator: ",").utf8)[...]
        var revisions: [Int64] = []
        var count = 0
        func skipBlanks() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") } }
        skipBlanks()
        if rest.first == UInt8(ascii: "*") {
            rest = rest.dropFirst()
            skipBlanks()
            guard rest.isEmpty else { throw wrong(name) }
            return .any
        }
        while !rest.isEmpty {
            count += 1
            guard count <= limits.tagsMax else { throw .badRequest("\(name): more than \(limits.tagsMax) entity tags") }
            let isWeak = rest.starts(with: Array("W/".utf8))
            if isWeak { rest = rest.dropFirst(2) }
            let opaque: ArraySlice<UInt8>
            if rest.first == UInt8(ascii: "\"") {
                rest = rest.dropFirst()
                opaque = rest.prefix { $0 != UInt8(ascii: "\"") }
                guard opaque.count < rest.count else { throw wrong(name) }
                rest = rest.dropFirst(opaque.count + 1)
            } else {
                // A shell eats quotes: a bare number is one, too.
                opaque = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                guard !opaque.isEmpty, !isWeak else { throw wrong(name) }
                rest = rest.dropFirst(opaque.count)
            }
            if weakCounts || !isWeak, opaque.first != UInt8(ascii: "0"), let number = QueryItems.number(opaque) {
                revisions.append(number)
            }
            rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
            guard rest.isEmpty || rest.first == UInt8(ascii: ",") else { throw wrong(name) }
            skipBlanks()
        }
        guard count > 0 else { throw wrong(name) }
        return .revisions(revisions)
    }

    private static func wrong(_ name: String) -> APIError {
        .badRequest("\(name) is *, or entity tags like \"42\", with commas between them")
    }
}
