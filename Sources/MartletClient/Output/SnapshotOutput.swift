/// What `snapshot save|status` print, in the formats of etcdctl and etcdutl.
package enum SnapshotOutput {
    package struct Status: Sendable {
        package let hash: UInt32
        package let revision: Int64
        package let keyCount: UInt64
        package let byteCount: UInt64

        package init(hash: UInt32, revision: Int64, keyCount: UInt64, byteCount: UInt64) {
            self.hash = hash
            self.revision = revision
            self.keyCount = keyCount
            self.byteCount = byteCount
        }
    }

    package static func saved(at path: String, serverVersion: String) -> String {
        "Snapshot saved at \(path)\n" + (serverVersion.isEmpty ? "" : "Server version \(serverVersion)\n")
    }

    package static func status(_ status: Status, _ format: OutputFormat) throws(UnsupportedFormat) -> [UInt8] {
        let cells = [
            GoText.hex(UInt64(status.hash)), "\(status.revision)", "\(status.keyCount)",
            GoText.byteCount(Int64(clamping: status.byteCount)),
        ]
        if format == .simple { return Array((cells.joined(separator: ", ") + "\n").utf8) }
        if format == .table {
            var table = TextTable(["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"])
            table.append(cells)
            return Array(table.text.utf8)
        }
        if format == .json {
            // Zeros too: nothing is left out there.
            let object = JSONObject.make {
                $0.raw("hash", "\(status.hash)")
                $0.raw("revision", "\(status.revision)")
                $0.raw("totalKey", "\(status.keyCount)")
                $0.raw("totalSize", "\(status.byteCount)")
            }
            return Array((object.text + "\n").utf8)
        }
        if format == .fields {
            let lines = [
                "\"Hash\" : \(status.hash)", "\"Revision\" : \(status.revision)", "\"Keys\" : \(status.keyCount)",
                "\"Size\" : \(status.byteCount)",
            ]
            return Array((lines.joined(separator: "\n") + "\n").utf8)
        }
        throw UnsupportedFormat(format: format)
    }
}
