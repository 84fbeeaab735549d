import Foundation
import Testing

/// What a directory holds, so far as a change would show: files that only lock are left out.
struct Fingerprint: Equatable, CustomStringConvertible {
    var lines: [String] = []
    private static let locks = ["lock", "lock.mdb"]

    init(of directory: String) throws {
        guard let walker = FileManager.default.enumerator(atPath: directory) else { return }
        for case let path as String in walker where !Self.locks.contains((path as NSString).lastPathComponent) {
            var information = stat()
            guard lstat("\(directory)/\(path)", &information) == 0 else { continue }
            let isDirectory = information.st_mode & S_IFMT == S_IFDIR
            // A directory's time changes when a lock is made in it; what is in it is listed anyway.
            lines.append(
                isDirectory
                    ? path
                    : "\(path) \(information.st_ino) \(information.st_size) \(information.st_mtim.tv_sec)."
                        + "\(information.st_mtim.tv_nsec)")
        }
        lines.sort()
    }

    var description: String { lines.joined(separator: "\n") }
}

extension TestCluster {
    /// Starts a member that must refuse: it ends by itself, with an exit code, one sentence that says the words, and
    /// the data as it was. Returns the sentence.
    @discardableResult
    func expectRefusal(
        of member: TestMember, replacing replacements: [String: String] = [:], saying words: [String],
        unchanged directory: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let directory = directory ?? member.dataDirectory
        let before = try Fingerprint(of: directory)
        let process = try start(member, replacing: replacements)
        let ending: MemberProcess.Ending
        do {
            ending = try await process.ending(within: .seconds(10))
        } catch {
            throw ClusterFailure("\(member.name) should have refused to start; it said:\n\(member.tail)")
        }
        member.kill()
        #expect(ending == .exited(1), sourceLocation: sourceLocation)
        let sentences = member.log.split(separator: "\n").filter { $0.hasPrefix("Error: ") }.map(String.init)
        try #require(sentences.count == 1, "\(member.name) said:\n\(member.tail)", sourceLocation: sourceLocation)
        for word in words where !sentences[0].contains(word) {
            Issue.record("\"\(word)\" is not in: \(sentences[0])", sourceLocation: sourceLocation)
        }
        let after = try Fingerprint(of: directory)
        #expect(after == before, "what was refused was changed", sourceLocation: sourceLocation)
        print("  \(sentences[0])")
        return sentences[0]
    }
}
