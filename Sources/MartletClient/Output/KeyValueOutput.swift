package import EtcdAPI

/// What `put`, `get`, `del` and `txn` print, in etcdctl's formats. Bytes, because keys and values need not be text.
package enum KeyValueOutput {
    package static func put(
        _ response: WirePutResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return Array("OK\n".utf8) + (response.prevKV.map { pair($0, hex: hex) } ?? [])
        case .json:
            return line(json(response))
        case .fields:
            return Array(fields(response).utf8)
        case .protobuf: return response.encoded()
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
            return line(json(response))
        case .fields:
            return Array(fields(response).utf8)
        case .protobuf: return response.encoded()
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
            return line(json(response))
        case .fields:
            return Array(fields(response).utf8)
        case .protobuf: return response.encoded()
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func txn(
        _ response: WireTxnResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            var bytes = Array((response.succeeded ? "SUCCESS\n" : "FAILURE\n").utf8)
            for part in response.responses {
                bytes.append(UInt8(ascii: "\n"))
                switch part {
                case .range(let part): bytes += try get(part, .simple, hex: hex)
                case .put(let part): bytes += try put(part, .simple, hex: hex)
                case .deleteRange(let part): bytes += try delete(part, .simple, hex: hex)
                case .txn(let part): bytes += try txn(part, .simple, hex: hex)
                case .none: break
                }
            }
            return bytes
        case .json: return line(json(response))
        case .fields: return Array(fields(response).utf8)
        case .protobuf: return response.encoded()
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: JSON

    private static func json(_ response: WirePutResponse<[UInt8]>) -> JSONObject {
        .make {
            $0.object("header", json(response.header))
            $0.object("prev_kv", response.prevKV.map(json))
        }
    }

    private static func json(_ response: WireRangeResponse<[UInt8]>) -> JSONObject {
        .make {
            $0.object("header", json(response.header))
            $0.objects("kvs", response.kvs.map(json))
            $0.bool("more", response.more)
            $0.number("count", response.count)
        }
    }

    private static func json(_ response: WireDeleteRangeResponse<[UInt8]>) -> JSONObject {
        .make {
            $0.object("header", json(response.header))
            $0.number("deleted", response.deleted)
            $0.objects("prev_kvs", response.prevKVs.map(json))
        }
    }

    private static func json(_ response: WireTxnResponse<[UInt8]>) -> JSONObject {
        .make {
            $0.object("header", json(response.header))
            $0.bool("succeeded", response.succeeded)
            // A oneof in Go is a structure in a field.
            $0.objects(
                "responses",
                response.responses.map { part in
                    .make { $0.object("Response", json(part)) }
                })
        }
    }

    private static func json(_ part: WireResponseOp<[UInt8]>) -> JSONObject {
        .make {
            switch part {
            case .range(let response): $0.object("response_range", json(response))
            case .put(let response): $0.object("response_put", json(response))
            case .deleteRange(let response): $0.object("response_delete_range", json(response))
            case .txn(let response): $0.object("response_txn", json(response))
            case .none: break
            }
        }
    }

    // MARK: Fields

    private static func fields(_ response: WirePutResponse<[UInt8]>) -> String {
        fields(response.header) + (response.prevKV.map { fields($0, prefix: "Prev") } ?? "")
    }

    private static func fields(_ response: WireRangeResponse<[UInt8]>) -> String {
        fields(response.header) + response.kvs.map { fields($0, prefix: "") }.joined()
            + "\"More\" : \(response.more)\n\"Count\" : \(response.count)\n"
    }

    private static func fields(_ response: WireDeleteRangeResponse<[UInt8]>) -> String {
        fields(response.header) + "\"Deleted\" : \(response.deleted)\n"
            + response.prevKVs.map { fields($0, prefix: "Prev") }.joined()
    }

    private static func fields(_ response: WireTxnResponse<[UInt8]>) -> String {
        let parts = response.responses.map { part in
            switch part {
            case .range(let response): fields(response)
            case .put(let response): fields(response)
            case .deleteRange(let response): fields(response)
            case .txn(let response): fields(response)
            case .none: ""
            }
        }
        return fields(response.header) + "\"Succeeded\" : \(response.succeeded)\n" + parts.joined()
    }

    // MARK: Pieces

    static func pair(_ kv: WireKeyValue<[UInt8]>, hex: Bool, valuesOnly: Bool = false) -> [UInt8] {
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

    static func json(_ kv: WireKeyValue<[UInt8]>) -> JSONObject {
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

    static func fields(_ kv: WireKeyValue<[UInt8]>, prefix: String) -> String {
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
