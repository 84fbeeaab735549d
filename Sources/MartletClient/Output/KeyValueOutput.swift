package import EtcdAPI

/// What `put`, `get` and `del` print, in etcdctl's formats. Bytes, because keys and values need not be text.
package enum KeyValueOutput {
    package static func put(
        _ response: WirePutResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return Array("OK\n".utf8) + (response.prevKV.map { pair($0, hex: hex) } ?? [])
        case .json:
            return line(
                .make {
                    $0.object("header", json(response.header))
                    $0.object("prev_kv", response.prevKV.map(json))
                })
        case .fields:
            return Array((fields(response.header) + (response.prevKV.map { fields($0, prefix: "Prev") } ?? "")).utf8)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    /// - Parameters:
    ///   - valuesOnly: `--print-value-only`.
    package static func get(
        _ response: WireRangeResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false, valuesOnly: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return response.kvs.flatMap { pair($0, hex: hex, valuesOnly: valuesOnly) }
        case .json:
            return line(
                .make {
                    $0.object("header", json(response.header))
                    $0.objects("kvs", response.kvs.map(json))
                    $0.bool("more", response.more)
                    $0.number("count", response.count)
                })
        case .fields:
            var text = fields(response.header)
            for kv in response.kvs { text += fields(kv, prefix: "") }
            text += "\"More\" : \(response.more)\n\"Count\" : \(response.count)\n"
            return Array(text.utf8)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func delete(
        _ response: WireDeleteRangeResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return Array("\(response.deleted)\n".utf8) + response.prevKVs.flatMap { pair($0, hex: hex) }
        case .json:
            return line(
                .make {
                    $0.object("header", json(response.header))
                    $0.number("deleted", response.deleted)
                    $0.objects("prev_kvs", response.prevKVs.map(json))
                })
        case .fields:
            var text = fields(response.header) + "\"Deleted\" : \(response.deleted)\n"
            for kv in response.prevKVs { text += fields(kv, prefix: "Prev") }
            return Array(text.utf8)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: Pieces

    private static func pair(_ kv: WireKeyValue<[UInt8]>, hex: Bool, valuesOnly: Bool = false) -> [UInt8] {
        let newline: [UInt8] = [UInt8(ascii: "\n")]
        let key = hex ? GoText.hexEscaped(kv.key) : kv.key
        let value = hex ? GoText.hexEscaped(kv.value) : kv.value
        return (valuesOnly ? [] : key + newline) + value + newline
    }

    static func line(_ object: JSONObject) -> [UInt8] { Array((object.text + "\n").utf8) }

    static func json(_ header: WireHeader?) -> JSONObject? {
        header.map { header in
            .make {
                $0.number("cluster_id", header.clusterID)
                $0.number("member_id", header.memberID)
                $0.number("revision", header.revision)
                $0.number("raft_term", header.raftTerm)
            }
        }
    }

    private static func json(_ kv: WireKeyValue<[UInt8]>) -> JSONObject {
        .make {
            $0.bytes("key", kv.key)
            $0.number("create_revision", kv.createRevision)
            $0.number("mod_revision", kv.modRevision)
            $0.number("version", kv.version)
            $0.bytes("value", kv.value)
            $0.number("lease", kv.lease)
        }
    }

    static func fields(_ header: WireHeader?) -> String {
        let header = header ?? WireHeader()
        return """
            "ClusterID" : \(header.clusterID)
            "MemberID" : \(header.memberID)
            "Revision" : \(header.revision)
            "RaftTerm" : \(header.raftTerm)

            """
    }

    private static func fields(_ kv: WireKeyValue<[UInt8]>, prefix: String) -> String {
        """
        "\(prefix)Key" : \(GoText.quoted(kv.key))
        "\(prefix)CreateRevision" : \(kv.createRevision)
        "\(prefix)ModRevision" : \(kv.modRevision)
        "\(prefix)Version" : \(kv.version)
        "\(prefix)Value" : \(GoText.quoted(kv.value))
        "\(prefix)Lease" : \(kv.lease)

        """
    }
}
