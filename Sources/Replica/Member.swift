package import ByteCodec
package import RaftCore

/// What the cluster knows of a member beside its part in consensus.
package struct Member: Hashable, Sendable {
    package var id: NodeID
    /// Empty until the member has started for the first time.
    package var name: String
    package var peerURLs: [String]
    package var clientURLs: [String]

    package init(id: NodeID, name: String, peerURLs: [String], clientURLs: [String]) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
    }

    /// id u64, then name, peer URLs and client URLs: strings and lists length-prefixed with varints.
    package func encode() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 128)
        writer.write(id.rawValue)
        writer.writeLengthPrefixed(Array(name.utf8))
        for list in [peerURLs, clientURLs] {
            writer.writeVarint(UInt64(list.count))
            for url in list { writer.writeLengthPrefixed(Array(url.utf8)) }
        }
        return writer.finish()
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        id = NodeID(try reader.readUInt64())
        name = String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
        var lists: [[String]] = []
        for _ in 0..<2 {
            let count = try reader.readVarint()
            guard count <= 1_000 else { throw .invalid("\(count) URLs") }
            var list: [String] = []
            for _ in 0..<count { list.append(String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)) }
            lists.append(list)
        }
        peerURLs = lists[0]
        clientURLs = lists[1]
        try reader.expectEnd()
    }
}
